// Wraps Requests: calls by name with S1's deadline, which may be answered at this end as well.
import type { Peer } from '../../contract/peer.ts'
import { Requests, type SentRequest } from '../../contract/requests.ts'
import type { Target } from '../../core/call.ts'
import { untyped } from '../../core/method.ts'
import { given, positive, readOptions } from '../../policies/options.ts'

export interface IPCRequestHandlerOptions {
  /** Who is asked. Default: the far end of the link. */
  readonly target?: Target
  /** Default S1's 30,000. */
  readonly timeoutMs?: number
}

export class IPCRequestHandler {
  readonly #peer: Pick<Peer, 'to'>
  readonly #target: Target | undefined
  readonly #timeoutMs: number
  readonly #requests = new Requests()

  constructor(peer: Pick<Peer, 'to'>, options?: IPCRequestHandlerOptions) {
    const { target, timeoutMs } = readOptions('IPCRequestHandler', options, {
      target: given<Target | undefined>(undefined, '{ id } or { type }'),
      timeoutMs: positive(30_000),
    })
    this.#peer = peer
    this.#target = target
    this.#timeoutMs = timeoutMs
  }

  /**
   * Calls the method `requestType`. The callback is called once, with the answer; a failure, of the deadline too, is the
   * promise's to tell. With a callback nobody has to look at the promise.
   */
  sendRequest(requestType: string, data: unknown, callback?: (answer: unknown) => void): SentRequest {
    const timeoutMs = this.#timeoutMs
    const sent = this.#requests.send(this.#peer.to(this.#target), untyped(requestType), data, { timeoutMs })
    if (callback) sent.then(callback, () => {})
    return sent
  }

  /**
   * Answers a request that came another way than by its call, by the `requestId` of what `sendRequest` returned, which
   * the far handler sees as `call.idempotencyKey`. False, and nothing else, for one that is answered or unknown.
   */
  handleResponse(requestId: string, response: unknown): boolean {
    return this.#requests.answer(requestId, response)
  }
}
