const OUTSIDE = 0
const INSIDE = 1
const JOINED = 2

const BREAK = 1
const LETTER = 2
const JOINER = 3
const DENSE = 4

/** Runs of scripts without spaces are segmented in pieces of this many characters. */
const DENSE_CHARS = 1_000
/** Classes of the code units, filled as they are met. */
const classes = new Uint8Array(0x10000)
const letter = /[\p{L}\p{M}\p{N}]/u
const dense =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u

/**
 * Counts words in text that comes in chunks, in constant memory: the sum does not depend on where the
 * chunks are cut. A word is a run of letters, marks and digits; an apostrophe, hyphen, underscore or full
 * stop between two of them does not end it (`don't`, `state-of-the-art`, `viaduct.js`). Scripts written
 * without spaces are counted by `Intl.Segmenter`.
 */
export class WordCounter {
  #words = 0
  #state = OUTSIDE
  #dense = ''
  #high = 0

  push(text: string): void {
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at)
      let kind = classes[unit] || classify(unit)
      if (unit >= 0xd800 && unit <= 0xdfff) {
        if (unit < 0xdc00) {
          this.#high = unit
          continue
        }
        const point = this.#high === 0 ? unit : (this.#high - 0xd800) * 0x400 + (unit - 0xdc00) + 0x10000
        this.#high = 0
        kind = classOf(String.fromCodePoint(point))
        if (kind === DENSE) this.#dense += String.fromCodePoint(point)
      } else if (kind === DENSE) this.#dense += text[at]
      if (kind === DENSE) {
        this.#state = OUTSIDE
        if (this.#dense.length >= DENSE_CHARS) this.#flush()
        continue
      }
      if (this.#dense !== '') this.#flush()
      if (kind === LETTER) {
        if (this.#state === OUTSIDE) this.#words++
        this.#state = INSIDE
      } else if (kind === JOINER && this.#state === INSIDE) this.#state = JOINED
      else this.#state = OUTSIDE
    }
  }

  /** Words until now. What follows begins a new word. */
  get words(): number {
    this.#flush()
    this.#state = OUTSIDE
    return this.#words
  }

  #flush(): void {
    if (this.#dense === '') return
    for (const part of segmenter().segment(this.#dense)) if (part.isWordLike === true) this.#words++
    this.#dense = ''
  }
}

export function countWords(text: string): number {
  const counter = new WordCounter()
  counter.push(text)
  return counter.words
}

let shared: Intl.Segmenter | undefined
function segmenter(): Intl.Segmenter {
  shared ??= new Intl.Segmenter('en', { granularity: 'word' })
  return shared
}

function classify(unit: number): number {
  const kind = classOf(String.fromCharCode(unit))
  classes[unit] = kind
  return kind
}

function classOf(character: string): number {
  if (dense.test(character)) return DENSE
  if (letter.test(character)) return LETTER
  return "'’-_.".includes(character) ? JOINER : BREAK
}
