import { createHmac } from 'node:crypto'
import { type AdmissionCrypto, type Identity, Joining } from '../../src/core/admission.ts'
import type { Clock } from '../../src/core/clock.ts'
import { PeerCore } from '../../src/core/peer.ts'
import type { Transport } from '../../src/core/transport.ts'
import { HubCore, type MetricsOptions } from '../../src/hub/core.ts'
import type { Rules } from '../../src/hub/manifest.ts'
import type { Port } from '../../src/hub/port.ts'
import type { ReplayRules } from '../../src/hub/replayRules.ts'
import { memoryTransports } from '../../src/transports/memory.ts'
import * as FLAG from '../../src/wire/flag.ts'
import * as KIND from '../../src/wire/kind.ts'
import { TurnClock } from './clock.ts'
import { type FrameFields, frameFrom, makeFrame, type ReadFrame, readFrame } from './frames.ts'
import { ScriptedTransport } from './scriptedTransport.ts'

let nonces = 0

export const testCrypto: AdmissionCrypto = {
  mac(key, ...parts) {
    const hmac = createHmac('sha256', key)
    for (const part of parts) hmac.update(part)
    return new Uint8Array(hmac.digest())
  },
  equal: (one, other) => Buffer.from(one).equals(Buffer.from(other)),
  random(bytes) {
    const made = new Uint8Array(bytes)
    new DataView(made.buffer).setUint32(0, ++nonces)
    return made
  },
}

export const PREAMBLE = frameFrom({
  kind: 'PREAMBLE',
  method: 0x0101,
  id: '44414956',
  route: '1a544355',
  window: 10485760,
})

/** A peer that says whatever the test says, frame by frame. */
export class RawPeer {
  readonly transport = new ScriptedTransport()
  readonly clock: TurnClock
  id = ''

  constructor(clock: TurnClock) {
    this.clock = clock
  }

  send(...frames: readonly (Uint8Array | FrameFields)[]): void {
    this.transport.receive(...frames.map((frame) => (frame instanceof Uint8Array ? frame : makeFrame(frame))))
  }

  /** What came since the last time. */
  take(): ReadFrame[] {
    return this.transport.take().map((frame) => readFrame(frame))
  }

  /** Opens a route without waiting for its answer. */
  open(route: number, target: unknown, ...names: readonly (string | readonly [string, string])[]): void {
    const methods = names.map((name, index) =>
      typeof name === 'string' ? [index, name, ''] : [index, name[0], name[1]],
    )
    this.send(
      frameFrom({ kind: 'OPEN', route, body: target === undefined ? { methods } : { target, methods } }),
    )
  }

  call(id: number, route: number, more: Partial<FrameFields> = {}): void {
    this.send({ kind: KIND.CALL, lane: 2, id, route, ...more })
  }

  answer(id: number, more: Partial<FrameFields> = {}): void {
    this.send({ kind: KIND.END, lane: 2, flags: FLAG.ANSWER, id, ...more })
  }

  get closed(): boolean {
    return this.transport.closedWith !== undefined
  }
}

export interface RigOptions {
  readonly rules?: Rules
  readonly replay?: ReplayRules
  readonly metrics?: MetricsOptions
  readonly keys?: Readonly<Record<string, { readonly type: string; readonly key: Uint8Array }>>
  readonly log?: (text: string) => void
}

/** A hub in this process, with peers over memory and peers that the test plays itself. */
export class HubRig {
  readonly clock = new TurnClock()
  readonly hub: HubCore

  constructor(options: RigOptions = {}) {
    this.hub = new HubCore({
      clock: this.clock,
      crypto: testCrypto,
      rules: options.rules,
      replay: options.replay,
      metrics: options.metrics,
      pair: () => memoryTransports(this.clock),
      makePeer: (transport, given) => new PeerCore(transport, given),
      credential: (id) => {
        const known = options.keys && Object.hasOwn(options.keys, id) ? options.keys[id] : undefined
        return known && { identity: { id, type: known.type }, key: known.key }
      },
      ...(options.log ? { log: options.log } : {}),
    })
  }

  settle(): Promise<void> {
    return this.clock.settle()
  }

  port(id: string): Port {
    const port = this.hub.registry.get(id)
    if (!port) throw new Error(`${id} is not there`)
    return port
  }

  /** An ordinary peer. */
  async join(id: string, type: string, supervised = true): Promise<PeerCore> {
    const [ours, theirs] = memoryTransports(this.clock)
    this.hub.accept(ours, { identity: { id, type }, supervised })
    const peer = joinOver(theirs, this.clock)
    await this.settle()
    return peer
  }

  /** A peer that the test plays: admitted, and what it was told until now taken away. */
  async raw(id: string, type: string, supervised = true): Promise<RawPeer> {
    const peer = this.half({ id, type }, supervised)
    peer.id = id
    peer.send(PREAMBLE, frameFrom({ kind: 'HELLO', body: { features: [] } }))
    await this.settle()
    peer.take()
    return peer
  }

  /** A link that has not said anything yet. */
  half(identity?: Identity, supervised = false): RawPeer {
    const peer = new RawPeer(this.clock)
    this.hub.accept(peer.transport, { ...(identity ? { identity } : {}), supervised })
    return peer
  }

  /** Nothing is open any more, at any port. */
  leftovers(): string[] {
    const found: string[] = []
    for (const port of this.hub.registry.all()) {
      const { id } = port.info
      if (port.forwarded.slots.open !== 0) found.push(`${id}: ${port.forwarded.slots.open} forwarded`)
      const made = port.madeTo.filter((to) => to !== undefined).length
      if (port.granted !== 0) found.push(`${id}: ${port.granted} granted`)
      if (made !== 0) found.push(`${id}: ${made} made`)
      if (port.chargedBytes !== 0 || port.chargedMessages !== 0)
        found.push(`${id}: ${port.chargedBytes} charged`)
      if (port.link.outbox.queuedBytes !== 0) found.push(`${id}: ${port.link.outbox.queuedBytes} queued`)
    }
    return found
  }
}

export function joinOver(
  transport: Transport,
  clock: Clock,
  who: { readonly id?: string; readonly key?: Uint8Array } = {},
): PeerCore {
  const joining = new Joining(who, testCrypto, ({ hub }) => core.admitted(hub))
  const core: PeerCore = new PeerCore(transport, {
    clock,
    hub: true,
    admission: (kind, bytes, at, length) => joining.receive(core.link, kind, bytes, at, length),
  })
  joining.begin(core.link)
  return core
}

/** What a promise rejects with. */
export async function refusal(
  promise: Promise<unknown>,
): Promise<{ code?: string; reason?: string; fate?: string }> {
  try {
    await promise
  } catch (error) {
    return typeof error === 'object' && error !== null ? error : {}
  }
  throw new Error('it was not refused')
}

/** A worker that may call `work` of `main`, whose route to it is open. */
export async function workPair(
  rules: NonNullable<RigOptions['rules']>,
): Promise<{ rig: HubRig; caller: RawPeer; callee: RawPeer }> {
  const rig = new HubRig({ rules })
  const callee = await rig.raw('main', 'main')
  rig.hub.serve(rig.port('main'), [['work', '']])
  const caller = await rig.raw('worker-1', 'worker')
  caller.open(1, { id: 'main' }, 'work')
  await rig.settle()
  caller.take()
  return { rig, caller, callee }
}
