import { HREF_CHARS, LABEL_CHARS, MAX_HEADINGS, MAX_LINKS, TEXT_CHARS } from './limits.ts'
import type { Heading, Link } from './schemas.ts'
import { sentencesOf } from './sentences.ts'
import { WordCounter } from './words.ts'

/** `paragraph` and `item` hold sentences; a `cell` is a part of a table, a term or a caption. */
export type BlockKind = 'paragraph' | 'item' | 'cell'

/** Structure of a document as its parser reports it. Lists are bounded, counts are not. */
export class PageBuilder {
  readonly headings: Heading[] = []
  readonly links: Link[] = []
  title = ''
  headingCount = 0
  linkCount = 0
  sentences = 0
  paragraphs = 0
  readonly #words = new WordCounter()
  readonly #blocks: string[] = []
  #chars = 0
  #titleLevel = 7

  /** The document's own title. It wins over headings; the first one given stays. */
  setTitle(text: string): void {
    const title = label(text)
    if (title === '' || this.#titleLevel === 0) return
    this.title = title
    this.#titleLevel = 0
  }

  heading(level: number, text: string): void {
    const line = label(text)
    if (line === '') return
    this.headingCount++
    this.#count(text)
    if (this.headings.length < MAX_HEADINGS) this.headings.push({ level, text: line })
    // The first heading of the highest level is the title where the document names none.
    if (level < this.#titleLevel && (this.#titleLevel === 7 || level === 1)) {
      this.title = line
      this.#titleLevel = level
    }
  }

  block(kind: BlockKind, text: string): void {
    const prose = collapse(text)
    if (prose === '') return
    this.#count(prose)
    if (kind === 'paragraph') this.paragraphs++
    if (kind !== 'cell') for (const _ of sentencesOf(prose)) this.sentences++
    if (this.#chars >= TEXT_CHARS) return
    this.#blocks.push(prose)
    this.#chars += prose.length + 1
  }

  /** Code is counted in words and left out of the prose. */
  code(text: string): void {
    this.#count(text)
  }

  link(href: string, text: string): void {
    if (href === '') return
    this.linkCount++
    if (this.links.length < MAX_LINKS) this.links.push({ href: whole(href, HREF_CHARS), text: label(text) })
  }

  get words(): number {
    return this.#words.words
  }

  /** The prose, one block a line, at most `TEXT_CHARS` long. */
  get text(): string {
    return whole(this.#blocks.join('\n'), TEXT_CHARS)
  }

  /** Blocks never run into each other's words. */
  #count(text: string): void {
    this.#words.push(text)
    this.#words.push(' ')
  }
}

/** White space of any kind becomes one space. */
export function collapse(text: string): string {
  return text.replace(/\s+/gu, ' ').trim()
}

function label(text: string): string {
  return whole(collapse(text), LABEL_CHARS)
}

/** The first `max` code units, one fewer where that would cut a character in two. */
export function whole(text: string, max: number): string {
  if (text.length <= max) return text
  const last = text.charCodeAt(max - 1)
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? max - 1 : max)
}
