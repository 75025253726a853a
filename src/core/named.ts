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
  ours?: boolean,
): ViaductError {
  const isOurs = isViaductError(error)
  const given = isOurs ? error : new ViaductError('INTERNAL', `value: ${String(error)}`)
  const place = (text: string): string => text.replace(/^value/, part)
  return new ViaductError(
    ours && given.code === 'INVALID_ARGUMENT' ? 'INTERNAL' : given.code,
    `${method.name}: ${place(given.message)}`,
    {
      reason: given.reason,
      path: place(given.path ?? 'value'),
      fate: part === 'input' ? 'not-sent' : 'unknown',
      cause: isOurs ? undefined : error,
    },
  )
}
