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
