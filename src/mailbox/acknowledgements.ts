import type { Clock } from '../core/clock.ts'
import { ViaductError } from '../wire/errors.ts'
import { keepAlive } from './keepAlive.ts'

export interface AcknowledgementOptions {
  readonly clock: Clock
  readonly ackTimeoutMs: number
  readonly maxRetries: number
  readonly retryDelayMs: number
  /** Makes the receiver look for it again. */
  readonly announce: (id: string, retry: number) => void
  readonly onAck: (id: string) => void
  readonly onTimeout: (error: ViaductError, id: string) => void
}

interface Pending {
  readonly dueMs: number
  readonly retries: number
}

interface Waiter {
  resolve(): void
  reject(error: ViaductError): void
}

/** Ids that are over and whose end can still be asked for. */
const REMEMBERED = 10_000

/**
 * Messages whose acknowledgement is waited for. Each of the two delays is the same for all, so that two queues in the
 * order of their entries are in the order of their times: an acknowledgement costs the same however many wait.
 */
export class Acknowledgements {
  readonly #options: AcknowledgementOptions
  readonly #first = new Map<string, Pending>()
  readonly #again = new Map<string, Pending>()
  /** The last that are over, the oldest first; undefined: acknowledged. */
  readonly #ended = new Map<string, ViaductError | undefined>()
  readonly #waiters = new Map<string, Set<Waiter>>()
  #timer: (() => void) | undefined
  #letGo: (() => void) | undefined
  #isClosed = false

  constructor(options: AcknowledgementOptions) {
    this.#options = options
  }

  get pending(): number {
    return this.#first.size + this.#again.size
  }

  /**
   * From here on: an acknowledgement may come before it is known here that the message is stored.
   *
   * @returns whether none of this id was waited for
   */
  expect(id: string): boolean {
    if (this.#isClosed) return false
    const isNew = !this.#first.delete(id) && !this.#again.delete(id)
    this.#ended.delete(id)
    const { clock, ackTimeoutMs } = this.#options
    this.#first.set(id, { dueMs: clock.now() + ackTimeoutMs, retries: 0 })
    this.#arm()
    return isNew
  }

  /** It was not stored. */
  forget(id: string): void {
    this.#first.delete(id)
    this.#again.delete(id)
    for (const waiter of [...(this.#waiters.get(id) ?? [])]) waiter.reject(unknown(id))
  }

  /** One that this instance does not wait for is none. */
  acknowledged(id: string): void {
    const hadFailed = this.#ended.get(id) !== undefined
    if (!this.#first.delete(id) && !this.#again.delete(id) && !hadFailed) return
    this.#end(id, undefined)
    this.#options.onAck(id)
  }

  /** @throws ViaductError DEADLINE_EXCEEDED / ACK_TIMEOUT · CANCELLED · NOT_FOUND · UNAVAILABLE / CLOSED */
  wait(id: string, signal: AbortSignal | undefined, timeoutMs: number | undefined): Promise<void> {
    const { clock } = this.#options
    if (this.#isClosed) return Promise.reject(closed())
    if (this.#ended.has(id)) {
      const error = this.#ended.get(id)
      return error ? Promise.reject(error) : Promise.resolve()
    }
    if (!this.#first.has(id) && !this.#again.has(id)) {
      return Promise.reject(unknown(id))
    }
    if (signal?.aborted) return Promise.reject(cancelled(id))
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters.get(id) ?? new Set()
      const leave = (): void => {
        waiters.delete(waiter)
        if (waiters.size === 0 && this.#waiters.get(id) === waiters) this.#waiters.delete(id)
        cancelTimer?.()
        signal?.removeEventListener('abort', abort)
        if (this.#waiters.size > 0) return
        this.#letGo?.()
        this.#letGo = undefined
      }
      const waiter: Waiter = {
        resolve: () => {
          leave()
          resolve()
        },
        reject: (error) => {
          leave()
          reject(error)
        },
      }
      const abort = (): void => waiter.reject(cancelled(id))
      const late = (): void =>
        waiter.reject(timedOut(`message ${id} was not acknowledged within ${timeoutMs} ms`))
      const cancelTimer = timeoutMs === undefined ? undefined : clock.after(timeoutMs, late)
      signal?.addEventListener('abort', abort, { once: true })
      waiters.add(waiter)
      this.#waiters.set(id, waiters)
      this.#letGo ??= keepAlive()
    })
  }

  close(): void {
    this.#isClosed = true
    this.#timer?.()
    this.#first.clear()
    this.#again.clear()
    for (const waiters of [...this.#waiters.values()])
      for (const waiter of [...waiters]) waiter.reject(closed())
  }

  #end(id: string, error: ViaductError | undefined): void {
    this.#ended.delete(id)
    this.#ended.set(id, error)
    const oldest = this.#ended.keys().next()
    if (this.#ended.size > REMEMBERED && !oldest.done) this.#ended.delete(oldest.value)
    for (const waiter of [...(this.#waiters.get(id) ?? [])]) {
      if (error) waiter.reject(error)
      else waiter.resolve()
    }
  }

  /** One timer for all. */
  #arm(): void {
    if (this.#timer || this.pending === 0) return
    const firsts = [this.#first, this.#again].map(
      (queue) => queue.values().next().value?.dueMs ?? Number.POSITIVE_INFINITY,
    )
    const { clock } = this.#options
    this.#timer = clock.after(Math.max(0, Math.min(...firsts) - clock.now()), () => {
      this.#timer = undefined
      this.#expire(this.#first)
      this.#expire(this.#again)
      this.#arm()
    })
  }

  #expire(queue: Map<string, Pending>): void {
    const { clock, maxRetries, retryDelayMs, announce, onTimeout } = this.#options
    const now = clock.now()
    for (const [id, { dueMs, retries }] of queue) {
      if (dueMs > now) return
      queue.delete(id)
      if (retries < maxRetries) {
        this.#again.set(id, { dueMs: now + retryDelayMs, retries: retries + 1 })
        announce(id, retries + 1)
      } else {
        const error = timedOut(
          `message ${id} was announced ${1 + maxRetries} times and not acknowledged; it stays stored: does anybody receive?`,
        )
        this.#end(id, error)
        onTimeout(error, id)
      }
    }
  }
}

function timedOut(text: string): ViaductError {
  return new ViaductError('DEADLINE_EXCEEDED', text, { reason: 'ACK_TIMEOUT', fate: 'unknown' })
}

function unknown(id: string): ViaductError {
  const text = `${id}: this instance waits for no acknowledgement of it; send it with requiresAck`
  return new ViaductError('NOT_FOUND', text)
}

function cancelled(id: string): ViaductError {
  return new ViaductError('CANCELLED', `waiting for the acknowledgement of message ${id} was called off`)
}

export function closed(): ViaductError {
  return new ViaductError('UNAVAILABLE', 'the mailbox is closed', { reason: 'CLOSED', fate: 'not-sent' })
}
