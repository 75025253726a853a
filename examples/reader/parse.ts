import { extname } from 'node:path'
import { HtmlReader } from './html.ts'
import { PARSE_CHARS, WORDS_PER_MINUTE } from './limits.ts'
import { readMarkdown } from './markdown.ts'
import { PageBuilder } from './pageBuilder.ts'
import { readPlain } from './plain.ts'
import { nameOf } from './read.ts'
import type { DocumentKind, Page } from './schemas.ts'
import { WordCounter } from './words.ts'

export interface ParseOptions {
  readonly signal?: AbortSignal
  /** Told after each chunk how many characters have come. */
  readonly onProgress?: (chars: number) => void
  readonly maxChars?: number
}

/**
 * Parses one document from the chunks of its text. Structure comes from the first 2 MB, words are counted
 * in all of it, and no more than that first part is ever held. Lets others run at every chunk and slice.
 * Throws what the chunks throw, and the signal's reason.
 */
export async function parsePage(
  path: string,
  chunks: AsyncIterable<string>,
  options: ParseOptions = {},
): Promise<Page> {
  const maxChars = options.maxChars ?? PARSE_CHARS
  const beyond = new WordCounter()
  let head = ''
  let chars = 0
  let full = false
  for await (const chunk of chunks) {
    options.signal?.throwIfAborted()
    if (full) beyond.push(chunk)
    else {
      head += chunk
      full = head.length > maxChars
      const cut = full ? lastBreak(head, maxChars) : head.length
      beyond.push(head.slice(cut))
      head = head.slice(0, cut)
    }
    chars += chunk.length
    options.onProgress?.(chars)
  }
  const kind = kindOf(path, head)
  const builder = new PageBuilder()
  for (const _ of readKind(kind, head, builder)) {
    await breathe()
    options.signal?.throwIfAborted()
  }
  const words = builder.words + beyond.words
  return {
    path,
    kind,
    title: builder.title || nameOf(path),
    headings: builder.headings,
    headingCount: builder.headingCount,
    links: builder.links,
    linkCount: builder.linkCount,
    words,
    sentences: builder.sentences,
    paragraphs: builder.paragraphs,
    readingSeconds: Math.round((words / WORDS_PER_MINUTE) * 60),
    text: builder.text,
    notice: noticeOf(head, chars, words),
  }
}

/** By extension, else by how the text begins. */
export function kindOf(path: string, text = ''): DocumentKind {
  switch (extname(path).toLowerCase()) {
    case '.md':
    case '.mdx':
    case '.markdown':
    case '.mkd':
      return 'markdown'
    case '.html':
    case '.htm':
    case '.xhtml':
      return 'html'
    default:
      return /^\s{0,1000}<(?:!doctype html|html)\b/i.test(text) ? 'html' : 'text'
  }
}

function* readKind(kind: DocumentKind, text: string, builder: PageBuilder): Generator<void> {
  if (kind === 'markdown') yield* readMarkdown(text, builder)
  else if (kind === 'text') yield* readPlain(text, builder)
  else yield* readHtml(text, builder)
}

function* readHtml(text: string, builder: PageBuilder): Generator<void> {
  const html = new HtmlReader(builder)
  const sliceChars = 64 * 1024
  for (let at = 0; at < text.length; at += sliceChars) {
    html.write(text.slice(at, at + sliceChars))
    yield
  }
  html.end()
}

/** The last white space of the first `room` characters, looked for in 1,000: no word is cut in two. */
function lastBreak(text: string, room: number): number {
  for (let at = room; at > Math.max(0, room - 1_000); at--) if (/\s/.test(text.charAt(at))) return at
  return room
}

function noticeOf(head: string, chars: number, words: number): string {
  if (words === 0) return chars === 0 ? 'the file is empty' : 'the file has no words'
  if (chars <= head.length) return ''
  const part = `${(head.length / 1_048_576).toFixed(1)} of ${(chars / 1_048_576).toFixed(1)} million characters`
  return `structure and language of the first ${part}; words counted in all`
}

/** Lets heartbeats, cancellation and other calls through. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
