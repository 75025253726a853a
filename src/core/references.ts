/// <reference lib="esnext.disposable" preserve="true" />
import { LEASE_MS, MAX_BACKS, MAX_LEASE_MS } from '../wire/limits.ts'
import { linkError } from '../wire/linkError.ts'
import type { PeerInfo } from './call.ts'
import type { Sender } from './sender.ts'

export interface KeepOptions {
  /**
   * Milliseconds for which it may stay unused once the call is answered; each use begins them anew. Default LEASE_MS,
   * at most MAX_LEASE_MS: more counts as that.
   */
  readonly leaseMs?: number
}

/**
 * A function of the caller, as a handler gets it: it runs there, and its result or error comes back. It works while
 * its call runs; one that is kept, for longer. After that it rejects at once with FAILED_PRECONDITION / LEASE_ENDED.
 */
export interface Callback<Args extends readonly unknown[] = unknown[], Result = unknown> {
  /**
   * Rejects with what the function threw; RESOURCE_EXHAUSTED / QUEUE_FULL with MAX_BACKS under way, or when either
   * process has more waiting than it may; with the reason why the call ended when it was cancelled, expired or lost
   * its link.
   */
  (...args: Args): Promise<Result>
  /**
   * Keeps it for after the answer, until {@link release}, the end of the lease, or of the link; of several in one
   * call the longest lease counts. One that is forgotten is released when the host collects it.
   *
   * @throws ViaductError FAILED_PRECONDITION / LEASE_ENDED when its call has been answered without it.
   */
  keep(options?: KeepOptions): void
  /** The caller may forget it. When this was the last one kept, what is under way fails with LEASE_ENDED. */
  release(): void
  [Symbol.dispose](): void
}

/** What references need of the end that answers their call. */
export interface ReferencesHost {
  now(): number
  /** Writes BACK. @throws ViaductError of what cannot be sent. */
  back(references: References, index: number, number: number, args: unknown[]): void
  /** Nothing is kept any more: ends the exchange. */
  release(references: References): void
}

interface Pending {
  resolve(value: unknown): void
  reject(error: unknown): void
  readonly index: number
  /** Held while it is under way, so that it is not taken for forgotten. */
  readonly proxy: unknown
}

const MAX_U32 = 2 ** 32 - 1
const forgotten = new FinalizationRegistry<Reference>((reference) => reference.release())

/** The functions that one call refers to, at the side that calls them. */
export class References {
  readonly id: number
  readonly lane: number
  readonly peer: PeerInfo
  /** The method's name, for errors. */
  readonly name: string
  readonly #host: ReferencesHost
  readonly #pending = new Map<number, Pending>()
  readonly #all: Reference[]
  #number = 0
  #leaseMs = 0
  #isAnswered = false
  #isOver = false
  #reason: unknown
  /** Of the exchange, so that its RELEASE comes behind all of its END. */
  sender: Sender | undefined
  /** When the lease ends (clock ms); Infinity before the answer. */
  expires = Number.POSITIVE_INFINITY

  constructor(host: ReferencesHost, id: number, lane: number, peer: PeerInfo, name: string, count: number) {
    this.#host = host
    this.id = id
    this.lane = lane
    this.peer = peer
    this.name = name
    this.#all = Array.from({ length: count }, (_, index) => new Reference(this, index))
  }

  /** What handlers get, by number. */
  proxies(): Callback[] {
    return this.#all.map(proxyOf)
  }

  /** The lease that is asked for with the answer; 0 when nothing is kept. */
  get leaseMs(): number {
    return this.#isOver ? 0 : Math.max(0, ...this.#all.map((one) => one.leaseMs))
  }

  call(index: number, args: unknown[], proxy: unknown): Promise<unknown> {
    const refused = this.#refused(index)
    if (refused) return Promise.reject(refused.error)
    if (this.#pending.size >= MAX_BACKS)
      return Promise.reject(linkError('QUEUE_FULL', `${this.#what(index)}, ${MAX_BACKS} times`, 'not-sent'))
    this.#number = (this.#number % MAX_U32) + 1
    const number = this.#number
    return new Promise((resolve, reject) => {
      this.#host.back(this, index, number, args)
      this.#pending.set(number, { resolve, reject, index, proxy })
      this.#renew()
    })
  }

  /** Why a function cannot be called any more. */
  #refused(index: number): { error: unknown } | undefined {
    if (this.#isOver && this.#reason !== undefined) return { error: this.#reason }
    const reference = this.#all[index]
    if (!this.#isOver && reference && !reference.released && (!this.#isAnswered || reference.leaseMs > 0))
      return undefined
    return { error: linkError('LEASE_ENDED', this.#what(index), 'not-sent') }
  }

  keep(reference: Reference, leaseMs = LEASE_MS): void {
    const refused = this.#refused(reference.index)
    if (refused) throw refused.error
    const boundedMs = Math.min(MAX_LEASE_MS, Math.max(1, Math.ceil(leaseMs) || 1))
    // The caller was told of the lease with the answer.
    if (!this.#isAnswered) reference.leaseMs = Math.max(reference.leaseMs, boundedMs)
  }

  /** One function was released; with the last one that was kept the exchange ends. */
  released(): void {
    if (this.#isAnswered && !this.#isOver && this.leaseMs === 0) this.#host.release(this)
  }

  /** The call was answered, and what is kept outlives it for so long after each use. */
  answered(leaseMs: number): void {
    this.#isAnswered = true
    this.#leaseMs = leaseMs
    this.#renew()
  }

  #renew(): void {
    if (this.#isAnswered) this.expires = this.#host.now() + this.#leaseMs
  }

  /** The answer to a call that is under way; undefined when it is not. */
  take(number: number): Pending | undefined {
    const pending = this.#pending.get(number)
    this.#pending.delete(number)
    if (pending) this.#renew()
    return pending
  }

  /** Nothing can be called from here on. @param reason why, when it is not that the call or the lease has ended. */
  end(reason?: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#reason = reason
    for (const { reject, index } of this.#pending.values())
      reject(reason ?? linkError('LEASE_ENDED', this.#what(index), 'unknown'))
    this.#pending.clear()
  }

  #what(index: number): string {
    return `${this.name}: callbacks[${index}]`
  }
}

/** One function; its proxy knows it, and it does not know its proxy. */
class Reference {
  readonly owner: References
  readonly index: number
  /** For how long it is kept; 0 when it is not. */
  leaseMs = 0
  released = false

  constructor(owner: References, index: number) {
    this.owner = owner
    this.index = index
  }

  release(): void {
    if (this.released) return
    this.released = true
    this.leaseMs = 0
    this.owner.released()
  }
}

function proxyOf(reference: Reference): Callback {
  const call = (...args: unknown[]): Promise<unknown> => {
    const result = reference.owner.call(reference.index, args, proxy)
    // A handler that does not wait for it is not ended by what the far end throws.
    result.catch(() => {})
    return result
  }
  const release = (): void => {
    forgotten.unregister(reference)
    reference.release()
  }
  const keep = ({ leaseMs }: KeepOptions = {}): void => {
    const isNew = reference.leaseMs === 0
    reference.owner.keep(reference, leaseMs)
    if (isNew) forgotten.register(proxy, reference, reference)
  }
  // Hosts that have no `using` have no name for it either.
  const proxy: Callback = Object.assign(
    call,
    { keep, release },
    Symbol.dispose && { [Symbol.dispose]: release },
  )
  return proxy
}
