import { eastAsianWidth } from 'get-east-asian-width'
import picocolors from 'picocolors'

/** What the reader writes on: standard output, standard error, or a test's own. */
export interface Screen {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

export type Colors = ReturnType<typeof picocolors.createColors>

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })
/** C0, C1 and DEL; line separators; bidirectional, invisible and tag characters; half characters. */
const UNSAFE =
  /[\p{Cc}\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e0fff}\p{Cs}]/gu
const ZERO_WIDTH = /^[\p{M}\p{Cf}]+$/u
const EMOJI = /\p{Emoji_Presentation}|\p{Extended_Pictographic}\ufe0f|^\p{Regional_Indicator}{2}$|\u20e3/u

/**
 * Text of others made safe to print: what would move the cursor, colour the screen, reverse the line or
 * hide is written as `\u{…}`, and a line break as `\n`.
 */
export function visible(text: string): string {
  return text.replace(UNSAFE, (character) => {
    if (character === '\n') return '\\n'
    if (character === '\t') return '\\t'
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
  })
}

/** Columns that safe text takes: 2 for wide characters and emoji, 0 for marks. */
export function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let width = 0
  for (const { segment } of graphemes.segment(text)) width += graphemeWidth(segment)
  return width
}

/** Cuts safe text to at most `width` columns, between graphemes, with an ellipsis where something is gone. */
export function truncate(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  if (width < 1) return ''
  let kept = ''
  let used = 0
  for (const { segment } of graphemes.segment(text)) {
    const wide = graphemeWidth(segment)
    if (used + wide > width - 1) break
    kept += segment
    used += wide
  }
  return `${kept}…`
}

/** As {@link truncate}, but keeps the end: the telling part of a path. */
export function truncateStart(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  if (width < 1) return ''
  let kept = ''
  let used = 0
  for (const { segment } of [...graphemes.segment(text)].reverse()) {
    const wide = graphemeWidth(segment)
    if (used + wide > width - 1) break
    kept = segment + kept
    used += wide
  }
  return `…${kept}`
}

/** `NO_COLOR` (any value but the empty one) and `TERM=dumb` win, then `FORCE_COLOR`, then a terminal has colour. */
export function wantsColor(screen: Screen, env: Readonly<Record<string, string | undefined>>): boolean {
  if ((env.NO_COLOR ?? '') !== '' || env.TERM === 'dumb') return false
  if (env.FORCE_COLOR !== undefined) return env.FORCE_COLOR !== '0' && env.FORCE_COLOR !== 'false'
  return screen.isTTY === true
}

export function colorsFor(
  screen: Screen,
  env: Readonly<Record<string, string | undefined>> = process.env,
): Colors {
  return picocolors.createColors(wantsColor(screen, env))
}

function graphemeWidth(grapheme: string): number {
  if (ZERO_WIDTH.test(grapheme)) return 0
  if (EMOJI.test(grapheme)) return 2
  return eastAsianWidth(grapheme.codePointAt(0) ?? 0)
}
