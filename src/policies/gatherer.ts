import type { Clock } from '../core/clock.ts'
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

/**
 * Makes many out of ones that come close together. One that comes while nothing is under way goes at once, so a lone
 * one is never held; others wait until what is under way has come back, `maxSize` are there, or `maxDelayMs` are over.
 */
export class Gatherer<In, Out> {
  readonly #run: (inputs: readonly In[]) => Promise<readonly Settled<Out>[]>
  readonly #options: GatherOptions
  #waiting: Waiting<In, Out>[] = []
  #cancelDelay: (() => void) | undefined
  #underWay = 0
  runs = 0
  gathered = 0

  constructor(run: (inputs: readonly In[]) => Promise<readonly Settled<Out>[]>, options: GatherOptions) {
    this.#run = run
    this.#options = options
  }

  add(input: In): Promise<Out> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ input, resolve, reject })
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
    this.#underWay++
    this.runs++
    this.gathered += gathered.length
    return this.#settle(gathered)
  }

  async #settle(gathered: readonly Waiting<In, Out>[]): Promise<void> {
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
      for (const { reject } of gathered) reject(error)
    } finally {
      this.#underWay--
      if (this.#underWay === 0 && !this.#options.patient) void this.flush()
    }
  }
}
