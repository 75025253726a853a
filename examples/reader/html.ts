import { Parser } from 'htmlparser2'
import type { BlockKind, PageBuilder } from './pageBuilder.ts'

/** What is inside these is not for readers. */
const UNREAD = new Set([
  'script',
  'style',
  'noscript',
  'template',
  'svg',
  'math',
  'iframe',
  'object',
  'select',
])
/** Elements open at once between two writes. */
const MAX_DEPTH = 1_000
const BLOCKS = new Map<string, BlockKind>([
  ['p', 'paragraph'],
  ['blockquote', 'paragraph'],
  ['div', 'paragraph'],
  ['section', 'paragraph'],
  ['article', 'paragraph'],
  ['main', 'paragraph'],
  ['aside', 'paragraph'],
  ['header', 'paragraph'],
  ['footer', 'paragraph'],
  ['nav', 'paragraph'],
  ['address', 'paragraph'],
  ['details', 'paragraph'],
  ['form', 'paragraph'],
  ['body', 'paragraph'],
  ['figure', 'paragraph'],
  ['hr', 'paragraph'],
  ['li', 'item'],
  ['dd', 'item'],
  ['dt', 'cell'],
  ['td', 'cell'],
  ['th', 'cell'],
  ['tr', 'cell'],
  ['caption', 'cell'],
  ['figcaption', 'cell'],
  ['summary', 'cell'],
  ['option', 'cell'],
  ['table', 'cell'],
  ['ul', 'item'],
  ['ol', 'item'],
  ['dl', 'item'],
])

/**
 * Reads HTML piece by piece into a builder; `end()` reports what is still open. Broken markup is read as
 * browsers read it, never refused. Nesting costs no stack.
 */
export class HtmlReader {
  readonly #builder: PageBuilder
  #parser: Parser
  #depth = 0
  readonly #open: BlockKind[] = []
  #text = ''
  #unread = 0
  #heading = 0
  #pre = 0
  #title: string | undefined
  #link: { href: string; from: number } | undefined

  constructor(builder: PageBuilder) {
    this.#builder = builder
    this.#parser = this.#newParser()
  }

  write(html: string): void {
    this.#parser.write(html)
    if (this.#depth <= MAX_DEPTH) return
    // The parser's time grows with the square of the depth: it closes all that is open and begins anew.
    this.end()
    this.#depth = 0
    this.#open.length = 0
    this.#parser = this.#newParser()
  }

  end(): void {
    this.#parser.end()
    this.#flush()
  }

  #newParser(): Parser {
    return new Parser(
      {
        onopentag: (name, attributes) => {
          this.#depth++
          this.#openTag(name, attributes)
        },
        onclosetag: (name) => {
          this.#depth--
          this.#closeTag(name)
        },
        ontext: (text) => this.#onText(text),
      },
      { decodeEntities: true, lowerCaseTags: true },
    )
  }

  #openTag(name: string, attributes: Record<string, string>): void {
    if (UNREAD.has(name)) this.#unread++
    else if (name === 'title' && this.#unread === 0) this.#title = ''
    else if (name === 'br' || name === 'img') this.#text += ' '
    else if (name === 'a') this.#link = { href: (attributes.href ?? '').trim(), from: this.#text.length }
    else if (isHeading(name)) {
      this.#flush()
      this.#heading = Number(name[1])
    } else if (name === 'pre') {
      this.#flush()
      this.#pre++
    } else this.#block(name, true)
  }

  #closeTag(name: string): void {
    if (UNREAD.has(name)) this.#unread = Math.max(0, this.#unread - 1)
    else if (name === 'title' && this.#title !== undefined) {
      this.#builder.setTitle(this.#title)
      this.#title = undefined
    } else if (name === 'a' && this.#link !== undefined) {
      if (!this.#link.href.toLowerCase().startsWith('javascript:'))
        this.#builder.link(this.#link.href, this.#text.slice(this.#link.from))
      this.#link = undefined
    } else if (isHeading(name)) {
      this.#flush()
      this.#heading = 0
    } else if (name === 'pre') {
      this.#flush()
      this.#pre = Math.max(0, this.#pre - 1)
    } else this.#block(name, false)
  }

  #block(name: string, opens: boolean): void {
    const kind = BLOCKS.get(name)
    if (kind === undefined) return
    this.#flush()
    if (opens) this.#open.push(kind)
    else this.#open.pop()
  }

  #onText(text: string): void {
    if (this.#unread > 0) return
    if (this.#title !== undefined) this.#title += text
    else this.#text += text
  }

  #flush(): void {
    const text = this.#text
    this.#text = ''
    if (this.#link !== undefined) this.#link.from = 0
    if (text.trim() === '') return
    if (this.#heading > 0) this.#builder.heading(this.#heading, text)
    else if (this.#pre > 0) this.#builder.code(text)
    else this.#builder.block(this.#open.at(-1) ?? 'paragraph', text)
  }
}

function isHeading(name: string): boolean {
  return name.length === 2 && name[0] === 'h' && name >= 'h1' && name <= 'h6'
}
