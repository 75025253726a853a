import type { Caller, CallOptions } from '../core/call.ts'
import type { Method } from '../core/method.ts'
import { hex } from '../wire/hex.ts'

/** The answer of a request, and the id by which it may be given from elsewhere. */
export type SentRequest = Promise<unknown> & { readonly requestId: string }

/**
 * Calls that may also be answered at this end, once, under an id that nobody can guess: 128 random bits, told to the
 * far handler alone, as the call's idempotency key. Whichever answer comes first counts, and ends the other.
 */
export class Requests {
  readonly #open = new Map<string, (answer: unknown) => void>()

  /** Open ones; each ends with its call, by the call's deadline at the latest. */
  get size(): number {
    return this.#open.size
  }

  send(caller: Caller, method: Method, input: unknown, options: CallOptions): SentRequest {
    const requestId = newId()
    const controller = new AbortController()
    const marked = { ...options, signal: controller.signal, idempotencyKey: requestId }
    const called = caller.call(method, input, marked)
    const answered = new Promise<unknown>((resolve) => this.#open.set(requestId, resolve))
    const settled = Promise.race([called, answered]).finally(() => {
      this.#open.delete(requestId)
      controller.abort()
    })
    return Object.assign(settled, { requestId })
  }

  /** Answers an open request. False for one that is answered, failed or was never sent. */
  answer(requestId: string, answer: unknown): boolean {
    const settle = this.#open.get(requestId)
    this.#open.delete(requestId)
    settle?.(answer)
    return settle !== undefined
  }
}

function newId(): string {
  return hex(crypto.getRandomValues(new Uint8Array(16)))
}
