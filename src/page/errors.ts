import type { Method } from '../core/method.ts'
import { named } from '../core/named.ts'
import { type Fate, ViaductError } from '../wire/errors.ts'
import { REASONS, type ReasonName } from '../wire/reasons.ts'

/** An error that this end of a link made about one call. Texts for each reason are in the reference, not in pages. */
export function linkError(
  reason: ReasonName,
  what: string,
  fate: Fate,
  details: { readonly cause?: unknown; readonly retryAfterMs?: number } = {},
): ViaductError {
  return new ViaductError(REASONS[reason].code, `${what}: ${reason}`, { reason, fate, ...details })
}

/** What `run` gives; what it throws names the method and the part of it that was at hand. */
export function within<T>(method: Method, part: string, run: () => T, ours?: boolean): T {
  try {
    return run()
  } catch (error) {
    throw named(error, method, part, ours)
  }
}
