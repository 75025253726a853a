// Wraps Peer.call and Peer.callAll: messages to one process of a type, or to all of it.
import type { Answer } from '../../contract/fanOut.ts'
import type { Peer } from '../../contract/peer.ts'
import type { Target } from '../../core/call.ts'
import type { ProcessMessage } from './processMessage.ts'

/** S1's types of process; any other type that a manifest or a supervisor names will do. */
export const ProcessType = { RENDERER: 'renderer', GPU: 'gpu', AI: 'ai', BROWSER: 'main' } as const

export class ProcessRouter {
  readonly #peer: Pick<Peer, 'call' | 'callAll'>

  /** @param hub the hub, or a peer on it. */
  constructor(hub: Pick<Peer, 'call' | 'callAll'> | { readonly peer: Peer }) {
    this.#peer = 'peer' in hub ? hub.peer : hub
  }

  /**
   * Sends to one process of a type, the least loaded, or to the one with an id.
   *
   * @returns what its handler says: of a `MessageRouter`, whether it had one. Rejects, as a call does, when the message
   * may not be sent, nobody is there or the handler fails.
   */
  sendToProcess(type: string | Target, message: ProcessMessage): Promise<unknown> {
    const target = typeof type === 'string' ? { type } : type
    return this.#peer.call(message.getName(), message.getArgumentList().values, { target })
  }

  /** Sends to every process of a type that takes this message, but this one: who answered what, or failed why. */
  broadcastToProcessType(type: string, message: ProcessMessage): Promise<Answer<unknown>[]> {
    return this.#peer.callAll(message.getName(), message.getArgumentList().values, { type })
  }
}
