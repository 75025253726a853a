/** Text of others made safe to show: in a terminal, in a log. */

/**
 * Everything that a terminal obeys instead of showing: controls, and the marks that turn or hide text. Names
 * come from other processes, so they are never written as they are.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0]/gu

/** The text with everything unsafe written as `\u001b`. */
export function visible(text: string): string {
  return text.replace(UNSAFE, escaped)
}

/** The same, but lines and tabs stay: for values of several lines. */
export function visibleLines(text: string): string {
  return text.replace(UNSAFE, (mark) => (mark === '\n' || mark === '\t' ? mark : escaped(mark)))
}

/** JSON text with everything unsafe as JSON writes it: it stays the same JSON. */
export function visibleJson(json: string): string {
  return json.replace(UNSAFE, (mark) => (mark === '\n' ? mark : escaped(mark)))
}

function escaped(mark: string): string {
  let text = ''
  for (let at = 0; at < mark.length; at++) text += `\\u${mark.charCodeAt(at).toString(16).padStart(4, '0')}`
  return text
}
