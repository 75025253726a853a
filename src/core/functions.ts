import type { BodyLimits } from '../wire/body.ts'
import { CODES, ViaductError } from '../wire/errors.ts'
import * as KIND from '../wire/kind.ts'
import { MAX_BACKS } from '../wire/limits.ts'
import { REASONS } from '../wire/reasons.ts'
import { sendError } from './errorValue.ts'
import type { Message } from './message.ts'
import type { Method } from './method.ts'
import { named } from './named.ts'
import type { Output } from './output.ts'
import { whenSettled } from './settled.ts'

/** What the functions of a call need of the side that made it. */
export interface FunctionsHost {
  readonly output: Output
  readonly debug: boolean
  /** Something went to or fro: what bounds an unused exchange begins anew. */
  used(): void
  /** Whether the callee still waits for answers. */
  isOpen(): boolean
}

/** The functions in the input of one call, at the side that has them: runs them for the callee, and answers. */
export class Functions {
  readonly #functions: readonly CallableFunction[]
  readonly #host: FunctionsHost
  readonly #method: Method
  readonly #id: number
  readonly #lane: number
  #running = 0
  /** For how long they are kept after the answer; 0 until then. */
  leaseMs = 0

  constructor(
    host: FunctionsHost,
    method: Method,
    id: number,
    lane: number,
    functions: readonly CallableFunction[],
  ) {
    this.#host = host
    this.#method = method
    this.#id = id
    this.#lane = lane
    this.#functions = functions
  }

  /** BACK of the callee. @returns false when it is a violation. */
  back(message: Message, limits: BodyLimits): boolean {
    const { method: index, window: number } = message
    const called = this.#functions[index]
    if (!called || this.#running >= MAX_BACKS) return false
    this.#host.used()
    const { output } = this.#host
    if (output.full) {
      // The far end does not read; what it goes on to call may not pile up as answers.
      const { number: reason, code } = REASONS.QUEUE_FULL
      output.link.control(KIND.BACK, CODES[code], this.#id, reason, number)
      return true
    }
    this.#running++
    const failed = (error: unknown): void => this.#answer(index, number, undefined, { error })
    try {
      const args = this.#arguments(message, index, limits)
      whenSettled(
        Reflect.apply(called, undefined, args),
        (value) => this.#answer(index, number, value),
        failed,
      )
    } catch (error) {
      failed(error)
    }
    return true
  }

  #arguments(message: Message, index: number, limits: BodyLimits): unknown[] {
    const part = `callbacks[${index}].arguments`
    let args: unknown
    try {
      args = message.read(undefined, limits)
    } catch (error) {
      throw named(error, this.#method, part)
    }
    if (Array.isArray(args)) return args
    throw new ViaductError('INVALID_ARGUMENT', `${this.#method.name}: ${part} are no list`, {
      reason: 'MALFORMED_BODY',
      path: part,
    })
  }

  /** Never throws: an answer that cannot be sent becomes an error. */
  #answer(index: number, number: number, value: unknown, failure?: { readonly error: unknown }): void {
    this.#running--
    if (!this.#host.isOpen()) return
    this.#host.used()
    let failed = failure
    if (!failed) {
      try {
        this.#write(value, 0, number)
        return
      } catch (error) {
        failed = { error: named(error, this.#method, `callbacks[${index}].result`, true) }
      }
    }
    sendError(failed.error, this.#host.debug, (said) => this.#write(said, CODES[said.code], number))
  }

  #write(value: unknown, code: number, number: number): void {
    this.#host.output.write(KIND.BACK, this.#lane, this.#id, value, undefined, undefined, code, 0, number)
  }
}
