import { type Fate, ViaductError } from '../wire/errors.ts'
import { CODE_OF, type ReasonName } from '../wire/reasons.ts'

/** An error that this end of a link made about one call. Texts for each reason are in the reference, not in pages. */
export function linkError(
  reason: ReasonName,
  what: string,
  fate: Fate,
  cause?: unknown,
  retryAfterMs?: number,
): ViaductError {
  return new ViaductError(CODE_OF[reason], `${what}: ${reason}`, { reason, fate, cause, retryAfterMs })
}
