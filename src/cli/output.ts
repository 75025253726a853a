import { isViaductError } from '../wire/errors.ts'
import { exitOf, Failure } from './failure.ts'
import { visible, visibleLines } from './text.ts'
import { errorJson, toJson } from './values.ts'

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'
const STYLES: Record<Style, string> = {
  bold: '1',
  dim: '2',
  red: '31',
  green: '32',
  yellow: '33',
  cyan: '36',
}

/** Data goes to stdout, everything else to stderr. */
export class Output {
  readonly json: boolean
  readonly #color: boolean
  readonly #errorColor: boolean

  constructor(json: boolean) {
    this.json = json
    this.#color = !json && wantsColor(process.stdout)
    this.#errorColor = !json && wantsColor(process.stderr)
  }

  /** Colours text for stdout, where colours are wanted. */
  style(style: Style, text: string): string {
    return paint(this.#color, style, text)
  }

  /** Writes data; settles when the reader has room for more. */
  async write(data: string | Uint8Array): Promise<void> {
    if (process.stdout.write(data)) return
    await new Promise<void>((resolve) => process.stdout.once('drain', resolve))
  }

  line(text: string): Promise<void> {
    return this.write(`${text}\n`)
  }

  /** One JSON document in one line. */
  value(value: unknown): Promise<void> {
    return this.line(toJson(value))
  }

  /** What a person wants to know beside the data. */
  note(text: string): void {
    process.stderr.write(this.json ? `${toJson({ note: text })}\n` : `${visibleLines(text)}\n`)
  }

  /** Says what failed, why, and what to do next. */
  error(error: unknown, more: readonly string[] = []): void {
    const original = error instanceof Failure ? error.cause : error
    const exit = exitOf(error)
    const next = [...(error instanceof Failure ? error.next : []), ...more]
    const message = error instanceof Error ? error.message : String(error)
    const word = isViaductError(original) ? original.reason : undefined
    if (this.json) {
      const said = original === undefined ? { code: 'USAGE', reason: 'USAGE', message } : errorJson(original)
      const value = { ...said, message, exit, ...(next.length > 0 ? { next } : {}) }
      process.stderr.write(`${toJson({ error: value })}\n`)
      return
    }
    const label = paint(this.#errorColor, 'red', 'error')
    const lines = [`${label}${word === undefined ? '' : ` ${visible(word)}`}: ${visibleLines(message)}`]
    if (isViaductError(original)) {
      if (original.path !== undefined) lines.push(`  at:   ${visible(original.path)}`)
      if (original.data !== undefined) lines.push(`  data: ${toJson(original.data)}`)
      if (original.retryAfterMs !== undefined) lines.push(`  again in ${original.retryAfterMs} ms`)
    }
    for (const step of next) lines.push(`  next: ${visible(step)}`)
    process.stderr.write(`${lines.join('\n')}\n`)
  }
}

function paint(wanted: boolean, style: Style, text: string): string {
  return wanted ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text
}

/** NO_COLOR rules, then FORCE_COLOR, then whether a terminal is there. */
function wantsColor(stream: { readonly isTTY?: boolean }): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env
  if (NO_COLOR) return false
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0'
  return stream.isTTY === true && TERM !== 'dumb'
}
