import type { Clock } from '../core/clock.ts'
import type { PolicyStats } from '../core/interceptor.ts'
import { ViaductError } from '../wire/errors.ts'

interface Waiting<In, Out> {
  readonly input: In
  resolve(output: Out): void
  reject(error: unknown): void
}

/** What became of one of many. */
export type Settled<Out> = { readonly value: Out } | { readonly error: unknown }

export interface GatherOptions {
  readonly maxSize: number
  readonly maxDelayMs: number
  readonly clock: Clock
  /** Also a lone one waits for others, `maxDelayMs` at most. Default false. */
  readonly patient?: boolean
}

/** What one gatherer or several have done. */
export class GatherCounts {
  #batches = 0
  #calls = 0
  #failed = 0
  #ended = 0
  #tookMs = 0

  began(calls: number): void {
    this.#batches++
    this.#calls += calls
  }

  ended(tookMs: number, failed: boolean): void {
    this.#ended++
    this.#tookMs += tookMs
    if (failed) this.#failed++
  }

  stats(): PolicyStats {
    return {
      batches: this.#batches,
      calls: this.#calls,
      failed: this.#failed,
      averageSize: this.#batches === 0 ? 0 : this.#calls / this.#batches,
      averageMs: this.#ended === 0 ? 0 : this.#tookMs / this.#ended,
    }
  }
}

/**
 * Makes many out of ones that come close together. One that comes while nothing is under way goes at once, so a lone
 * one is never held; others wait until what is under way has come back, `maxSize` or `maxBytes` are there, or
 * `maxDelayMs` are over.
 */
export class Gatherer<In, Out> {
  readonly #run: (inputs: readonly In[]) => Promise<readonly Settled<Out>[]>
  readonly #options: GatherOptions
  readonly #counts: GatherCounts
  readonly #maxBytes: number
  #waiting: Waiting<In, Out>[] = []
  #bytes = 0
  #cancelDelay: (() => void) | undefined
  #underWay = 0

  constructor(
    run: (inputs: readonly In[]) => Promise<readonly Settled<Out>[]>,
    options: GatherOptions,
    counts: GatherCounts,
    maxBytes = Number.POSITIVE_INFINITY,
  ) {
    this.#run = run
    this.#options = options
    this.#counts = counts
    this.#maxBytes = maxBytes
  }

  get isIdle(): boolean {
    return this.#underWay === 0 && this.#waiting.length === 0
  }

  add(input: In, bytes = 0): Promise<Out> {
    if (this.#bytes + bytes > this.#maxBytes) void this.flush()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ input, resolve, reject })
      this.#bytes += bytes
      const { clock, maxDelayMs, maxSize, patient } = this.#options
      if ((this.#underWay === 0 && !patient) || this.#waiting.length >= maxSize) void this.flush()
      else this.#cancelDelay ??= clock.after(maxDelayMs, () => void this.flush())
    })
  }

  /** Runs what waits now; settles when it has come back, and never rejects. */
  flush(): Promise<void> {
    this.#cancelDelay?.()
    this.#cancelDelay = undefined
    const gathered = this.#waiting
    if (gathered.length === 0) return Promise.resolve()
    this.#waiting = []
    this.#bytes = 0
    this.#underWay++
    this.#counts.began(gathered.length)
    return this.#settle(gathered)
  }

  async #settle(gathered: readonly Waiting<In, Out>[]): Promise<void> {
    const began = this.#options.clock.now()
    let failed = false
    try {
      const outcomes = await this.#run(gathered.map(({ input }) => input))
      if (outcomes.length !== gathered.length) {
        throw new ViaductError('INTERNAL', `${gathered.length} were asked and ${outcomes.length} answered`, {
          reason: 'BATCH_LENGTH',
        })
      }
      gathered.forEach(({ resolve, reject }, index) => {
        const outcome = outcomes[index]
        if (outcome && 'value' in outcome) resolve(outcome.value)
        else reject(outcome?.error)
      })
    } catch (error) {
      failed = true
      for (const { reject } of gathered) reject(error)
    } finally {
      this.#counts.ended(this.#options.clock.now() - began, failed)
      this.#underWay--
      if (this.#underWay === 0 && !this.#options.patient) void this.flush()
    }
  }
}
