import type { Letter, LetterMessage } from '../../mailbox/deadLetterFile.ts'
import type { LetterFilter, LetterSummary } from '../../mailbox/deadLetters.ts'
import type { LetterOutcome } from '../../mailbox/deadLetterTally.ts'
import { Mailbox } from '../../mailbox/index.ts'
import { isViaductError } from '../../wire/errors.ts'
import { MAX_DEPTH, TRUSTED_MAX_KEYS } from '../../wire/limits.ts'
import { unpack } from '../../wire/packed.ts'
import { Failure, UsageError } from '../failure.ts'
import { lettersOf, storeOf } from '../mailboxes.ts'
import { type MailboxFlags, rootOf } from '../mailboxFlags.ts'
import type { Output } from '../output.ts'
import { duration } from '../session.ts'
import { table } from '../table.ts'
import { visible, visibleLines } from '../text.ts'
import { toJson } from '../values.ts'

const DEFAULT_LIMIT = 50
const MAX_LIMIT = 10_000
/** Columns of an error's text in a table. */
const MESSAGE_COLUMNS = 60

/** The dead letters of a mailbox, the newest first. */
export async function listLetters(
  out: Output,
  flags: MailboxFlags,
  group: string,
  words: readonly string[],
): Promise<void> {
  if (words.length > 0)
    throw new UsageError(`${JSON.stringify(words[0])} is one word too many`, 'viaduct help mailbox')
  const limit = flags.limit === undefined ? DEFAULT_LIMIT : Number(flags.limit)
  if (!(Number.isSafeInteger(limit) && limit > 0 && limit <= MAX_LIMIT)) {
    throw new UsageError(`--limit ${JSON.stringify(flags.limit)}: a whole number from 1 to ${MAX_LIMIT}`)
  }
  const letters = lettersOf(rootOf(flags), group)
  const found = await letters.list({ ...reasonOf(flags), limit })
  if (out.json) {
    for (const letter of found) await out.value({ ...letter, failedAt: isoOf(letter.failedAtMs) })
  } else if (found.length > 0) {
    for (const line of rows(out, found)) await out.line(line)
  }
  if (found.length === 0)
    out.note(`${group} has no dead letter${flags.reason === undefined ? '' : ' of that reason'}`)
  else if (found.length === limit)
    out.note(`of ${await letters.count()} dead letters the newest ${limit}; --limit N shows more`)
}

function rows(out: Output, letters: readonly LetterSummary[]): string[] {
  return table<LetterSummary>(
    letters,
    [
      { title: 'ID', cell: ({ id }) => id },
      { title: 'TYPE', cell: ({ type }) => type ?? '-' },
      { title: 'REASON', cell: ({ reason }) => reason, paint: (text) => out.style('red', text) },
      { title: 'STARTS', cell: ({ attempts }) => String(attempts), align: 'right' },
      { title: 'REDRIVEN', cell: ({ redriven }) => String(redriven), align: 'right' },
      { title: 'DIED', cell: ({ failedAtMs }) => isoOf(failedAtMs) },
      { title: 'ERROR', cell: ({ message }) => shortened(message) },
    ],
    (text) => out.style('bold', text),
  )
}

/** One letter: its message, its error, its attempts. */
export async function showLetter(out: Output, flags: MailboxFlags, group: string, id: string): Promise<void> {
  const letter = await lettersOf(rootOf(flags), group)
    .show(id)
    .catch((error: unknown) => {
      if (!isViaductError(error)) throw error
      throw new Failure(error.message, { next: [`viaduct mailbox dead ${group}`], cause: error })
    })
  const { message, failedAtMs, ...rest } = letter
  const { body, ...envelope } = message ?? { body: undefined }
  const payload = message && payloadOf(message)
  if (out.json) {
    const about = message ? { message: { ...envelope, format: body?.format, payload } } : {}
    return out.value({ ...rest, failedAtMs, failedAt: isoOf(failedAtMs), ...about })
  }
  for (const [title, text] of fields(letter)) {
    await out.line(
      `${out.style('bold', title.padEnd(9))} ${visibleLines(text).replaceAll('\n', `\n${' '.repeat(10)}`)}`,
    )
  }
  if (message) await out.line(`${out.style('bold', 'payload')}\n${toJson(payload, 2)}`)
  if (letter.raw !== undefined)
    await out.line(`${out.style('bold', 'as it was')}\n${visibleLines(letter.raw)}`)
}

function fields({
  id,
  file,
  failedAtMs,
  error,
  attempts,
  message,
  place,
}: Letter): [title: string, text: string][] {
  const found: [string, string | undefined][] = [
    ['id', id],
    ['file', file],
    ['type', message?.type],
    [
      'sent',
      message && message.sentAtMs > 0 ? `${isoOf(message.sentAtMs)}${senderText(message)}` : undefined,
    ],
    ['died', `${isoOf(failedAtMs)} after ${attempts} ${attempts === 1 ? 'start' : 'starts'}`],
    ['redriven', message && message.redriven > 0 ? `${message.redriven} times before` : undefined],
    ['place', place],
    ['reason', error.reason],
    ['error', error.message],
    ['stack', error.stack],
  ]
  return found.flatMap(([title, text]): [string, string][] => (text === undefined ? [] : [[title, text]]))
}

function senderText({ sender, sequence }: LetterMessage): string {
  return sender === '' ? '' : ` by ${sender}, its message ${sequence}`
}

/** What the handler got; bytes that cannot be read are shown as such. */
function payloadOf({ body: { format, bytes } }: LetterMessage): unknown {
  try {
    if (format === 'json') return JSON.parse(new TextDecoder().decode(bytes))
    return unpack(bytes, { maxDepth: MAX_DEPTH, maxKeys: TRUSTED_MAX_KEYS })
  } catch {
    return bytes
  }
}

/** Stores messages again; their letters go. */
export async function redriveLetters(
  out: Output,
  flags: MailboxFlags,
  group: string,
  ids: readonly string[],
): Promise<void> {
  const selection = selectionOf(flags, ids, `viaduct mailbox redrive ${group} --all`)
  const root = rootOf(flags)
  const mailbox = await Mailbox.open({ root, group, store: storeOf(root, group) })
  try {
    const outcome = await mailbox.deadLetters.redrive(selection, { dryRun: flags['dry-run'] ?? false })
    await tell(out, outcome, outcome.dryRun ? 'would be redriven' : 'redriven')
  } finally {
    await mailbox.close()
  }
}

/** Removes letters for good. */
export async function purgeLetters(
  out: Output,
  flags: MailboxFlags,
  group: string,
  ids: readonly string[],
): Promise<void> {
  const selection = selectionOf(flags, ids, `viaduct mailbox purge ${group} --older-than 7d`)
  const letters = lettersOf(rootOf(flags), group)
  const sure = ids.length > 0 || flags.yes === true
  const outcome = await letters.purge(selection, { dryRun: !sure || flags['dry-run'] === true })
  if (sure || flags['dry-run']) return tell(out, outcome, outcome.dryRun ? 'would be removed' : 'removed')
  throw new UsageError(
    `this removes ${lettersText(outcome.done)} for good${reasonsText(outcome)}`,
    'say --yes to remove them, --dry-run to see how many they are',
  )
}

/** Which letters the words and flags select; nothing is never everything. */
function selectionOf(flags: MailboxFlags, ids: readonly string[], example: string): LetterFilter {
  const { all, reason, 'older-than': age } = flags
  const filters = reason !== undefined || age !== undefined
  if (ids.length > 0 && (all || filters)) {
    throw new UsageError('give ids, or --all, --reason and --older-than, not both', example)
  }
  if (ids.length === 0 && !all && !filters) {
    throw new UsageError('say which: ids, --all, --reason REASON or --older-than TIME', example)
  }
  return {
    ...(ids.length > 0 ? { ids } : {}),
    ...reasonOf(flags),
    ...(age === undefined ? {} : { olderThanMs: duration(age) }),
  }
}

function reasonOf({ reason }: MailboxFlags): { readonly reason?: string } {
  return reason === undefined ? {} : { reason: reason.toUpperCase().replaceAll('-', '_') }
}

async function tell(out: Output, outcome: LetterOutcome, what: string): Promise<void> {
  if (out.json) await out.value(outcome)
  else {
    await out.line(`${lettersText(outcome.done)} ${what}${reasonsText(outcome)}`)
    for (const { id, reason, message } of outcome.failures)
      out.note(`${visible(id)}  ${visible(reason)}  ${shortened(message)}`)
  }
  if (outcome.failed === 0) return
  throw new Failure(
    `${lettersText(outcome.failed)} could not be ${outcome.stopped ? 'stored again, and no more were tried' : 'taken'}`,
    {
      next: ['viaduct mailbox show GROUP ID tells what is wrong with one'],
    },
  )
}

function lettersText(count: number): string {
  return `${count} dead ${count === 1 ? 'letter' : 'letters'}`
}

function reasonsText({ reasons }: LetterOutcome): string {
  const each = Object.entries(reasons).map(([reason, count]) => `${visible(reason)} ${count}`)
  return each.length === 0 ? '' : `: ${each.join(', ')}`
}

function shortened(message: string): string {
  const line = message.split('\n')[0] ?? ''
  return line.length > MESSAGE_COLUMNS ? `${line.slice(0, MESSAGE_COLUMNS - 1)}…` : line
}

function isoOf(ms: number): string {
  return ms <= 8.64e15 ? new Date(ms).toISOString() : String(ms)
}
