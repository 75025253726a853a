/** Counts what became of dead letters. */
import { messageOf } from '../host/errno.ts'
import { isViaductError } from '../wire/errors.ts'
import type { Letter } from './deadLetterFile.ts'

/** What was done, or would be in a dry run. */
export interface LetterOutcome {
  readonly dryRun: boolean
  /** The store took no more; letters that were not looked at count nowhere. */
  readonly stopped: boolean
  /** Letters that fit the selection. */
  readonly matched: number
  /** Redriven or purged. */
  readonly done: number
  /** How many of those died of what; the rarest together under `OTHER`. */
  readonly reasons: Readonly<Record<string, number>>
  readonly failed: number
  /** The first hundred of those, which are still there. */
  readonly failures: readonly LetterFailure[]
}

export interface LetterFailure {
  readonly id: string
  /** Absent where there is no letter. */
  readonly file?: string
  readonly reason: string
  readonly message: string
}

const MAX_FAILURES = 100
const MAX_REASONS = 100

export class LetterTally {
  matched = 0
  stopped = false
  readonly #dryRun: boolean
  readonly #reasons = new Map<string, number>()
  readonly #failures: LetterFailure[] = []
  #done = 0
  #failed = 0

  constructor(dryRun: boolean) {
    this.#dryRun = dryRun
  }

  get any(): boolean {
    return this.#done > 0
  }

  done({ error }: Letter): void {
    this.#done++
    const known = this.#reasons.has(error.reason) || this.#reasons.size < MAX_REASONS
    const reason = known ? error.reason : 'OTHER'
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1)
  }

  fail({ id, file }: { readonly id: string; readonly file?: string }, reason: string, message: string): void {
    this.#failed++
    if (this.#failures.length >= MAX_FAILURES) return
    this.#failures.push({ id, ...(file === undefined ? {} : { file }), reason, message })
  }

  /** The store did not take one: it would not take the next either. */
  stop(letter: Letter, error: unknown): void {
    this.stopped = true
    this.fail(letter, isViaductError(error) ? error.reason : 'UNKNOWN', messageOf(error))
  }

  outcome(): LetterOutcome {
    return {
      dryRun: this.#dryRun,
      stopped: this.stopped,
      matched: this.matched,
      done: this.#done,
      reasons: Object.fromEntries(this.#reasons),
      failed: this.#failed,
      failures: this.#failures,
    }
  }
}
