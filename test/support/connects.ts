/** Two ends that contracts and names of methods are judged over, for tests that look at no frames. */
import type { Caller, Server } from '../../src/core/call.ts'
import type { Clock } from '../../src/core/clock.ts'
import { memoryHub, type SuitePeer } from '../../src/testing/index.ts'
import { connectPeers } from '../../src/transports/direct.ts'
import { memoryTransports } from '../../src/transports/memory.ts'
import { type Pairing, peers } from '../core/rig.ts'

export interface Connect {
  readonly name: string
  /** Two joined peers: one that calls, one that answers. Closing one ends both. */
  connect(options?: { readonly clock?: Clock }): readonly [near: SuitePeer, far: SuitePeer]
}

function connectOf({ name, near, far }: Pairing): Connect {
  return {
    name,
    connect: (options = {}) => {
      const [left, right] = memoryTransports(options.clock)
      return [near(left, options), far(right, options)]
    },
  }
}

/** What programs get of the whole peer, and all other pairings of the rig. */
export const connects: readonly Connect[] = [
  { name: 'whole', connect: (options) => connectPeers(options) },
  ...peers.filter(({ name }) => name !== 'whole').map(connectOf),
]

/** One who calls contracts, and one who serves them. */
export interface Joined {
  readonly caller: Caller
  readonly callee: Server
  /** Settles when what is served by now can be called. */
  ready(): Promise<unknown>
  close(): void
}

/** All ways between the two: through a hub, and over each link alone. */
export const joins: readonly { readonly name: string; join(): Joined }[] = [
  {
    name: 'through a hub',
    join: () => {
      const hub = memoryHub()
      const [main, worker] = [hub.peer('main'), hub.peer('worker')]
      return {
        caller: main.to({ id: 'worker' }),
        callee: worker,
        ready: () => worker.ready(),
        close: () => hub.close(),
      }
    },
  },
  ...connects.map(({ name, connect }) => ({
    name,
    join: (): Joined => {
      const [caller, callee] = connect()
      return { caller, callee, ready: async () => {}, close: () => caller.close() }
    },
  })),
]
