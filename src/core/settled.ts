/** Whether a value says later what it is. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

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
