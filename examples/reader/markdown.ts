import { decodeHTML } from 'entities'
import { Lexer, type MarkedToken, type Token } from 'marked'
import { HtmlReader } from './html.ts'
import { type BlockKind, collapse, type PageBuilder } from './pageBuilder.ts'
import { readPlain } from './plain.ts'

/** Parsed in slices of this size, so that a long document does not hold the event loop. */
const SLICE_CHARS = 64 * 1024
const DEFINITION = /^ {0,3}\[([^\]\n]{1,200})\]:[ \t]*<?([^\s>]{1,2000})>?/gm

/**
 * Reads Markdown (CommonMark with GitHub's additions) into a builder, one slice at each step: between two
 * steps the caller may let others run. Code is counted and left out of the prose; HTML within is read as
 * HTML. What the parser cannot nest is read as plain text.
 */
export function* readMarkdown(markdown: string, builder: PageBuilder): Generator<void> {
  const body = frontMatter(markdown, builder)
  const slices = [...slicesOf(body)]
  const links = slices.length > 1 ? definitions(body) : []
  for (const slice of slices) {
    readSlice(slice, links, builder)
    yield
  }
}

function readSlice(slice: string, links: readonly [string, string][], builder: PageBuilder): void {
  let tokens: Token[]
  try {
    const lexer = new Lexer({ gfm: true })
    for (const [name, href] of links) lexer.tokens.links[name] = { href, title: null }
    tokens = lexer.lex(slice)
  } catch {
    // marked recurses: a few thousand nested quotes exhaust its stack.
    for (const _ of readPlain(slice, builder));
    return
  }
  blocks(tokens, 'paragraph', builder)
}

function blocks(tokens: readonly Token[], kind: BlockKind, builder: PageBuilder): void {
  for (const each of tokens) {
    const token = each as MarkedToken
    switch (token.type) {
      case 'heading':
        builder.heading(token.depth, inline(token.tokens, builder))
        break
      case 'paragraph':
        builder.block(kind, inline(token.tokens, builder))
        break
      case 'text':
        builder.block(
          kind,
          token.tokens === undefined ? decodeHTML(token.text) : inline(token.tokens, builder),
        )
        break
      case 'blockquote':
        blocks(token.tokens, kind, builder)
        break
      case 'list':
        for (const item of token.items) blocks(item.tokens, 'item', builder)
        break
      case 'table':
        for (const row of [token.header, ...token.rows])
          for (const cell of row) builder.block('cell', inline(cell.tokens, builder))
        break
      case 'code':
        builder.code(token.text)
        break
      case 'html': {
        const html = new HtmlReader(builder)
        html.write(token.text)
        html.end()
        break
      }
    }
  }
}

/** The words of inline tokens; their links go to the builder. */
function inline(tokens: readonly Token[] | undefined, builder: PageBuilder): string {
  let text = ''
  for (const each of tokens ?? []) {
    const token = each as MarkedToken
    switch (token.type) {
      case 'text':
        text += token.tokens === undefined ? decodeHTML(token.text) : inline(token.tokens, builder)
        break
      case 'escape':
      case 'codespan':
        text += token.text
        break
      case 'strong':
      case 'em':
      case 'del':
        text += inline(token.tokens, builder)
        break
      case 'link': {
        const words = token.autolink === true ? token.text : inline(token.tokens, builder)
        builder.link(token.href, words)
        text += words
        break
      }
      case 'br':
        text += ' '
        break
      case 'html':
        if (/^<br\b/i.test(token.raw)) text += ' '
        break
    }
  }
  return text
}

/** Takes a YAML block at the very start away; its `title` is the document's. */
function frontMatter(markdown: string, builder: PageBuilder): string {
  const block = /^---\r?\n([\s\S]{0,10000}?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|$)/.exec(markdown)
  if (block === null || !/^\w[\w-]*:/m.test(block[1] ?? '')) return markdown
  const title = /^title:[ \t]*(.*)$/m.exec(block[1] ?? '')?.[1] ?? ''
  builder.setTitle(collapse(title).replace(/^(["'])(.*)\1$/, '$2'))
  return markdown.slice(block[0].length)
}

/** Definitions of all slices, since a link may be defined in another one than it is used in. */
function definitions(markdown: string): [string, string][] {
  const found: [string, string][] = []
  for (const [, name = '', href = ''] of markdown.matchAll(DEFINITION)) {
    if (found.length >= 1_000) break
    found.push([name.toLowerCase().replace(/\s+/g, ' '), href])
  }
  return found
}

/**
 * Cuts at blank lines outside of fenced code where there are any, else at the end of a line. Code that is
 * cut goes on as code in the next slice.
 */
function* slicesOf(markdown: string): Generator<string> {
  let slice = ''
  let fence = ''
  for (const line of linesOf(markdown)) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1] ?? ''
    if (fence === '') fence = mark
    else if (mark.startsWith(fence)) fence = ''
    slice += line
    const blank = fence === '' && line.trim() === ''
    if (slice.length < (blank ? SLICE_CHARS : 2 * SLICE_CHARS)) continue
    yield fence === '' ? slice : `${slice}\n${fence}`
    slice = fence === '' ? '' : `${fence}\n`
  }
  yield slice
}

/** Lines with their ends; those over a slice's length in pieces, cut at white space where there is some. */
function* linesOf(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const newline = text.indexOf('\n', from)
    let end = newline === -1 ? text.length : newline + 1
    if (end - from > SLICE_CHARS) {
      const space = text.lastIndexOf(' ', from + SLICE_CHARS)
      end = space > from ? space + 1 : from + SLICE_CHARS
    }
    yield text.slice(from, end)
    from = end
  }
}
