/** Looks at JSON text before anything is made of it, so that what it would make is bounded. */

export interface JsonScan {
  /** Why it is not to be parsed. */
  readonly fault?: string
  /** Where the value of the object's field of that name stands in the text; of several, the last, as for JSON.parse. */
  readonly field?: Uint8Array
}

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BACKSLASH = 0x5c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/**
 * Counts nesting and entries, and finds one field of the outermost object. Syntax is not checked: what is no JSON may
 * pass, and JSON.parse refuses it.
 *
 * @param maxDepth a value that holds none has depth 0, `[[]]` has 2
 * @param maxEntries keys and items over all of it, about: an empty array or object counts as one
 */
export function scanJson(text: Uint8Array, maxDepth: number, maxEntries: number, field: string): JsonScan {
  let depth = 0
  let entries = 0
  let awaitsKey = false
  let isField = false
  let start = -1
  let found: Uint8Array | undefined
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case QUOTE: {
        const end = stringEnd(text, at)
        if (depth === 1 && awaitsKey) isField = isKey(text.subarray(at, end), field)
        at = end - 1
        break
      }
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        depth++
        entries++
        if (depth > maxDepth) return { fault: `it is nested deeper than ${maxDepth}` }
        if (depth === 1) awaitsKey = true
        break
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        if (depth === 1 && start >= 0) {
          found = text.subarray(start, at)
          start = -1
        }
        depth--
        break
      case COLON:
        if (depth === 1 && awaitsKey) {
          awaitsKey = false
          if (isField) start = at + 1
        }
        break
      case COMMA:
        entries++
        if (depth !== 1) break
        if (start >= 0) found = text.subarray(start, at)
        start = -1
        awaitsKey = true
        isField = false
        break
    }
    if (entries > maxEntries) return { fault: `it has more than ${maxEntries} keys and items` }
  }
  return found ? { field: found } : {}
}

/** The position after the string that begins at `from`; the text's end when it does not end. */
function stringEnd(text: Uint8Array, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const byte = text[at]
    if (byte === QUOTE) return at + 1
    if (byte === BACKSLASH) at++
  }
  return text.length
}

/** Whether a string of JSON says this key, however it spells it. */
function isKey(text: Uint8Array, key: string): boolean {
  if (text.includes(BACKSLASH)) {
    try {
      return JSON.parse(new TextDecoder().decode(text)) === key
    } catch {
      return false
    }
  }
  if (text.length !== key.length + 2) return false
  for (let at = 0; at < key.length; at++) if (text[at + 1] !== key.charCodeAt(at)) return false
  return true
}
