import type { PageBuilder } from './pageBuilder.ts'

const GAP = /\n[ \t\r]*\n/
const URL_PATTERN = /\bhttps?:\/\/[^\s<>"'`)\]}]{1,2000}/g
/** A first line no longer than this is the title. */
const TITLE_CHARS = 120
/** A paragraph without a blank line is cut here. */
const PARAGRAPH_CHARS = 64 * 1024

/** Reads plain text: paragraphs between blank lines, addresses as links, a short first line as the title. */
export function* readPlain(text: string, builder: PageBuilder): Generator<void> {
  let first = true
  let steps = 0
  for (const paragraph of paragraphsOf(text)) {
    if (first && builder.title === '') {
      const [line = '', ...rest] = paragraph.split('\n')
      if (line.length <= TITLE_CHARS && (rest.length === 0 || rest.join('').trim() !== ''))
        builder.title = line.trim()
    }
    first = false
    builder.block('paragraph', paragraph)
    for (const [url] of paragraph.matchAll(URL_PATTERN)) builder.link(url.replace(/[.,;:!?]+$/, ''), url)
    if (++steps % 100 === 0 || paragraph.length > 1_000) yield
  }
}

function* paragraphsOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const found = text.slice(from, from + PARAGRAPH_CHARS).search(GAP)
    const end = found === -1 ? Math.min(text.length, from + PARAGRAPH_CHARS) : from + found
    const paragraph = text.slice(from, end).trim()
    if (paragraph !== '') yield paragraph
    from = found === -1 ? end : end + 1
  }
}
