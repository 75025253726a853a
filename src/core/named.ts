import { isViaductError, ViaductError } from '../wire/errors.ts'

/**
 * The same error with the method and the part it happened in, as `pages.analyze: input.url`.
 *
 * @param ours what our own side made cannot be sent: no fault of the other's argument, so INTERNAL.
 */
export function named(
  error: unknown,
  method: { readonly name: string },
  part: string,
  ours = false,
): ViaductError {
  const isOurs = isViaductError(error)
  const given = isOurs ? error : new ViaductError('INTERNAL', `value: ${String(error)}`)
  const { code, message, reason, path = 'value' } = given
  const place = (text: string): string => text.replace(/^value/, part)
  return new ViaductError(
    ours && code === 'INVALID_ARGUMENT' ? 'INTERNAL' : code,
    `${method.name}: ${place(message)}`,
    {
      reason,
      path: place(path),
      fate: part === 'input' ? 'not-sent' : 'unknown',
      cause: isOurs ? undefined : error,
    },
  )
}
