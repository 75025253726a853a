import type { Callback } from '../core/references.ts'
import { misuse } from './entries.ts'

type AnyFunction = (...args: never) => unknown
/** What is sent as it is, although it has methods. */
type Whole =
  | Date
  | Error
  | ArrayBuffer
  | ArrayBufferView
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>

/** An input as a handler gets it: its functions are those of the caller, so each is a {@link Callback}. */
export type Callbacks<T> = T extends (...args: infer Args) => infer Result
  ? Callback<Args, Awaited<Result>>
  : T extends Whole
    ? T
    : T extends object
      ? { [K in keyof T]: Callbacks<T[K]> }
      : T

/**
 * The same function of a handler's input, typed as the proxy that it is: for schema libraries whose types say
 * the same on both sides.
 *
 * @throws ViaductError INVALID_ARGUMENT / INVALID_CONTRACT when it is another function, such as a schema's wrapper.
 */
export function asCallback<F extends AnyFunction>(given: F): Callback<Parameters<F>, Awaited<ReturnType<F>>> {
  if (isCallback(given)) return given
  throw misuse('this is no function of the caller; let the schema pass it through')
}

function isCallback<F extends AnyFunction>(
  given: F,
): given is F & Callback<Parameters<F>, Awaited<ReturnType<F>>> {
  return 'keep' in given && 'release' in given
}
