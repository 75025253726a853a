import { ViaductError } from '../wire/errors.ts'

/** @throws ViaductError INVALID_ARGUMENT / BAD_LIMIT, with the path, unless `value` is a number of at least `least` */
export function checkLimit(path: string, value: unknown, least: number): void {
  if (typeof value === 'number' && value >= least) return
  throw new ViaductError(
    'INVALID_ARGUMENT',
    `${path} is ${String(value)}: give a number of at least ${least}`,
    {
      reason: 'BAD_LIMIT',
      path,
    },
  )
}
