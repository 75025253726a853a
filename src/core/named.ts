import { isViaductError, ViaductError } from '../wire/errors.ts'
import type { Method } from './method.ts'

/**
 * The same error with the method and the part it happened in, as `pages.analyze: input.url`.
 *
 * @param ours what our own side made cannot be sent: no fault of the other's argument, so INTERNAL.
 */
export function named(error: unknown, method: Method, part: string, ours = false): ViaductError {
  return labelled(error, method.name, part, ours)
}

/** The same by the method's name alone. */
export function labelled(error: unknown, method: string, part: string, ours = false): ViaductError {
  if (!isViaductError(error)) {
    return new ViaductError('INTERNAL', `${method}: ${part}: ${String(error)}`, { cause: error })
  }
  const path = error.path === undefined ? part : error.path.replace(/^value/, part)
  const code = ours && error.code === 'INVALID_ARGUMENT' ? 'INTERNAL' : error.code
  return new ViaductError(code, `${method}: ${error.message.replace(/^value/, part)}`, {
    reason: error.reason,
    path,
    fate: part === 'input' ? 'not-sent' : 'unknown',
  })
}
