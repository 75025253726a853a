import { type Clock, systemClock } from '../core/clock.ts'

export interface RepeatOptions<Result> {
  /** Further times after the first. */
  readonly maxRetries: number
  /** Whether a result asks for another time. */
  readonly isRetryable: (result: Result) => boolean
  /** How long to wait before the next time, by how many there were further ones before: 0, 1 … */
  readonly delayMs: (attempt: number) => number
  readonly clock?: Clock
}

/**
 * Does something again whose failure is a result and nothing thrown, until one will do; the last result counts. What
 * throws ends it. For calls there is `retry`, which keeps a budget.
 */
export async function repeat<Result>(
  once: () => PromiseLike<Result>,
  { maxRetries, isRetryable, delayMs, clock = systemClock }: RepeatOptions<Result>,
): Promise<Result> {
  for (let attempt = 0; ; attempt++) {
    const result = await once()
    if (attempt >= maxRetries || !isRetryable(result)) return result
    const waitMs = delayMs(attempt)
    await new Promise<void>((resolve) => clock.after(waitMs, resolve))
  }
}
