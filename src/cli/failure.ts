import { CODES, isViaductError } from '../wire/errors.ts'

/** What the process ends with. A call's own error is `CALL` plus the number of its code: 65 to 80. */
export const EXIT = { OK: 0, ERROR: 1, USAGE: 2, NOT_AUTHORISED: 4, CALL: 64, INTERRUPTED: 130 } as const

export interface FailureDetails {
  readonly exit?: number
  /** What to do now: commands, or sentences. */
  readonly next?: readonly string[]
  readonly cause?: unknown
}

/** Why a command ends without success: what and why, and what to do next. */
export class Failure extends Error {
  readonly exit: number
  readonly next: readonly string[]

  constructor(message: string, details: FailureDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.exit = details.exit ?? EXIT.ERROR
    this.next = details.next ?? []
  }
}

/** The command itself was wrong. */
export class UsageError extends Failure {
  constructor(message: string, ...next: readonly string[]) {
    super(message, { exit: EXIT.USAGE, next })
  }
}

/** Errors that mean: you may not. */
const NOT_AUTHORISED: ReadonlySet<string> = new Set([
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
  'DENIED',
  'CREDENTIAL_MISSING',
  'CREDENTIAL_UNSAFE',
])

/** The exit code of whatever a command threw, unless it was the error of the user's own call. */
export function exitOf(error: unknown): number {
  if (error instanceof Failure) return error.exit
  if (!isViaductError(error)) return EXIT.ERROR
  return NOT_AUTHORISED.has(error.reason) || NOT_AUTHORISED.has(error.code) ? EXIT.NOT_AUTHORISED : EXIT.ERROR
}

/** The exit code of a call that failed. */
export function callExit(error: unknown): number {
  return isViaductError(error) ? EXIT.CALL + CODES[error.code] : EXIT.CALL + CODES.UNKNOWN
}
