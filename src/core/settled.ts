import { isThenable } from './guards.ts'

/**
 * Tells what a function has given, once: at once, or when the promise that it gave settles. A thenable that settles
 * twice, or throws, counts as the promise that it should be.
 */
export function whenSettled(
  given: unknown,
  done: (value: unknown) => void,
  failed: (error: unknown) => void,
): void {
  if (isThenable(given)) Promise.resolve(given).then(done, failed)
  else done(given)
}
