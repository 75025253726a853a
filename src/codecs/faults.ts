import { type Code, type Fate, isViaductError, ViaductError } from '../wire/errors.ts'

/** Why a value was not taken; PROTOCOL.md, section 9. */
export const FAULTS = {
  UNPROTECTED: {
    code: 'UNAUTHENTICATED',
    text: 'it must come signed or sealed as the contract says, and does not; give both ends `codecs` among their policies',
  },
  TAMPERED: {
    code: 'UNAUTHENTICATED',
    text: 'it is not what the other end sent, or not here',
  },
  REPLAYED: { code: 'ABORTED', text: 'it has come before, or over 1,024 calls late' },
  CUT_SHORT: { code: 'DATA_LOSS', text: 'items are missing at its end' },
  KEY_UNKNOWN: {
    code: 'UNAUTHENTICATED',
    text: 'none of the keys known of that peer has signed this; pin its key, or let both keyrings ask the hub',
  },
  KEY_EXPIRED: {
    code: 'UNAUTHENTICATED',
    text: 'it was signed with a key that has been replaced; the time for which both held is over',
  },
  SESSION_UNKNOWN: {
    code: 'FAILED_PRECONDITION',
    text: 'the callee does not know this session any more; call again, the ends then agree anew',
  },
  SESSION_EXPIRED: {
    code: 'FAILED_PRECONDITION',
    text: 'the session is over its time; call again, the ends then agree anew',
  },
} as const satisfies Record<string, { readonly code: Code; readonly text: string }>

export type Fault = keyof typeof FAULTS

/** An error of the codecs. @param what the method, and the part of it. */
export function fault(reason: Fault, what: string, fate: Fate = 'unknown'): ViaductError {
  const { code, text } = FAULTS[reason]
  return new ViaductError(code, `${what}: ${text}`, { reason, fate })
}

/** Whether a callee refused before its handler ran, and would take the call under a new session. */
export function isStale(error: unknown): boolean {
  if (!isViaductError(error)) return false
  return error.reason === 'SESSION_UNKNOWN' || error.reason === 'SESSION_EXPIRED'
}

/** Whether a callee could make nothing of a call under this session: another one may have taken its place there. */
export function isRefused(error: unknown): boolean {
  return isViaductError(error) && error.reason === 'TAMPERED' && error.fate === 'not-sent'
}

/** Refusals of a callee's codec, which all come before its handler. */
const NOT_SENT: ReadonlySet<string> = new Set<Fault | 'SKEW'>([
  'SKEW',
  'UNPROTECTED',
  'TAMPERED',
  'KEY_UNKNOWN',
  'KEY_EXPIRED',
  'SESSION_UNKNOWN',
  'SESSION_EXPIRED',
])

/**
 * An error that came unprotected where a handler's would be protected: the hub's, the link's, or the far end's
 * before it could protect one. It has a fate, so it never counts as a handler's answer.
 */
export function unprotectedError(error: unknown): unknown {
  if (!isViaductError(error) || error.fate !== undefined) return error
  const { code, message, reason, path, retryAfterMs, cause } = error
  return new ViaductError(code, message, {
    reason,
    fate: NOT_SENT.has(reason) ? 'not-sent' : 'unknown',
    cause,
    ...(path === undefined ? {} : { path }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}
