/**
 * Where a JSON text goes wrong: the index of the first character that does not fit, and what should stand
 * there. The parser of the platform gives a position for some faults only.
 */
export interface JsonFault {
  readonly at: number
  readonly expected: string
}

const SPACE = /[ \t\n\r]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const WORD = /true|false|null/y
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids just these in a string.
const STRING_PART = /(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y
const MAX_DEPTH = 1000

/** The fault of a text, or undefined if it is JSON. */
export function jsonFault(text: string): JsonFault | undefined {
  const reader = new Reader(text)
  if (reader.value(0)) {
    reader.skip(SPACE)
    if (reader.at < text.length) reader.fail('the end of the text')
  }
  return reader.fault
}

class Reader {
  readonly #text: string
  at = 0
  fault: JsonFault | undefined

  constructor(text: string) {
    this.#text = text
  }

  fail(expected: string): false {
    this.fault ??= { at: this.at, expected }
    return false
  }

  /** Goes past what a sticky pattern matches. */
  skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.#text)
    if (!found) return false
    this.at += found[0].length
    return found[0].length > 0
  }

  #take(character: string): boolean {
    if (this.#text[this.at] !== character) return false
    this.at++
    return true
  }

  value(depth: number): boolean {
    this.skip(SPACE)
    if (depth > MAX_DEPTH) return this.fail('less nesting')
    if (this.#take('{')) return this.#members(depth)
    if (this.#take('[')) return this.#items(depth)
    if (this.#text[this.at] === '"') return this.#string()
    return this.skip(NUMBER) || this.skip(WORD) || this.fail('a value')
  }

  #string(): boolean {
    this.at++
    this.skip(STRING_PART)
    return this.#take('"') || this.fail('the rest of a string, or "')
  }

  #members(depth: number): boolean {
    this.skip(SPACE)
    if (this.#take('}')) return true
    for (;;) {
      this.skip(SPACE)
      if (this.#text[this.at] !== '"') return this.fail('a key in double quotes')
      if (!this.#string()) return false
      this.skip(SPACE)
      if (!this.#take(':')) return this.fail(':')
      if (!this.value(depth + 1)) return false
      this.skip(SPACE)
      if (this.#take('}')) return true
      if (!this.#take(',')) return this.fail(', or }')
    }
  }

  #items(depth: number): boolean {
    this.skip(SPACE)
    if (this.#take(']')) return true
    for (;;) {
      if (!this.value(depth + 1)) return false
      this.skip(SPACE)
      if (this.#take(']')) return true
      if (!this.#take(',')) return this.fail(', or ]')
    }
  }
}
