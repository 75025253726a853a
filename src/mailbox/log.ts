/** What a mailbox tells its operator: one line each on stderr, from a level on. Wraps process.stderr. */
import { visible, visibleJson } from '../wire/visible.ts'
import type { LogLevel, MailboxLog } from './options.ts'

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

/** Units of one line's fields: whoever sends messages may choose what stands in them. */
const MAX_FIELDS = 4096

/** Writes lines as `viaduct mailbox: 2024-01-01T00:00:00.000Z info ACK sent {"group":"main"}`. */
export function lineLog(write: (line: string) => void, level: LogLevel, nowMs = Date.now): MailboxLog {
  const least = LEVELS.indexOf(level)
  return (of, text, fields) => {
    if (LEVELS.indexOf(of) < least) return
    const time = new Date(nowMs()).toISOString()
    write(`viaduct mailbox: ${time} ${of} ${visible(text)}${fieldsText(fields)}\n`)
  }
}

/** Lines on stderr, from the level on that `LOG_LEVEL` names when a line is logged; `warn` where it names none. */
export const stderrLog: MailboxLog = (level, text, fields) => {
  const named = process.env.LOG_LEVEL?.toLowerCase()
  const least = LEVELS.find((one) => one === named) ?? 'warn'
  lineLog((line) => process.stderr.write(line), least)(level, text, fields)
}

function fieldsText(fields: Parameters<MailboxLog>[2]): string {
  if (Object.keys(fields).length === 0) return ''
  const text = visibleJson(JSON.stringify(fields))
  if (text.length <= MAX_FIELDS) return ` ${text}`
  // Still JSON: each of them cut, so that none hides the others.
  const room = Math.floor(MAX_FIELDS / (2 * Math.max(1, Object.keys(fields).length)))
  const cut = Object.entries(fields).map(([key, value]) => [key, cutTo(value, room)])
  return ` ${visibleJson(JSON.stringify(Object.fromEntries(cut)))}`
}

function cutTo(value: unknown, room: number): unknown {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return text.length <= room ? value : `${text.slice(0, room)}…`
}
