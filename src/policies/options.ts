import { ViaductError } from '../wire/errors.ts'

/** What an option has to be, in words, and whether a value is that. */
export interface OptionKind {
  readonly wanted: string
  fits(value: unknown): boolean
}

/** A number above 0; Infinity is none. */
export const positive: OptionKind = {
  wanted: 'a number above 0',
  fits: (value) => typeof value === 'number' && value > 0 && value < Number.POSITIVE_INFINITY,
}

/** A number from `least` to `most`. */
export function between(least: number, most: number): OptionKind {
  return {
    wanted: `a number from ${least} to ${most}`,
    fits: (value) => typeof value === 'number' && value >= least && value <= most,
  }
}

/** A whole number from `least` on, up to `most`. */
export function whole(least: number, most: number = Number.MAX_SAFE_INTEGER): OptionKind {
  const upTo = most === Number.MAX_SAFE_INTEGER ? 'on' : `to ${most}`
  return {
    wanted: `a whole number from ${least} ${upTo}`,
    fits: (value) => Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most,
  }
}

/** What can be given but is checked elsewhere, or by its type alone. */
export const anything: OptionKind = { wanted: 'anything', fits: () => true }

/**
 * Checks the options of a policy, or of anything else that is made with some. What is absent or undefined passes.
 *
 * @param owner what they are options of: the path of a fault is `owner.option`.
 * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION with the path, for an unknown name or a value that does not fit.
 */
export function checkOptions(
  owner: string,
  options: object,
  kinds: Readonly<Record<string, OptionKind>>,
): void {
  for (const [name, value] of Object.entries(options)) {
    const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined
    if (!kind) badOption(`${owner}.${name}`, `no such option; there are ${Object.keys(kinds).join(', ')}`)
    if (value !== undefined && !kind.fits(value)) {
      badOption(`${owner}.${name}`, `is ${shown(value)}: give ${kind.wanted}`)
    }
  }
}

/** @throws ViaductError INVALID_ARGUMENT / BAD_OPTION */
export function badOption(path: string, text: string): never {
  throw new ViaductError('INVALID_ARGUMENT', `${path}: ${text}`, { reason: 'BAD_OPTION', path })
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : String(value)
}
