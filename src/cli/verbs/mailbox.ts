import { Mailbox, type StoreKind } from '../../mailbox/index.ts'
import { isViaductError } from '../../wire/errors.ts'
import { callExit, Failure, UsageError } from '../failure.ts'
import { VERBS } from '../help.ts'
import { readInput } from '../input.ts'
import {
  checkGroup,
  DEFAULT_ROOT,
  findGroup,
  groupsIn,
  type MailboxState,
  stateOf,
  storeOf,
} from '../mailboxes.ts'
import { near } from '../near.ts'
import type { Output } from '../output.ts'
import { duration } from '../session.ts'
import { table } from '../table.ts'
import { visible } from '../text.ts'
import { listLetters, purgeLetters, redriveLetters, showLetter } from './mailboxLetters.ts'

export interface MailboxFlags {
  readonly root?: string | undefined
  readonly store?: string | undefined
  readonly data?: string | undefined
  readonly ack?: boolean | undefined
  readonly delay?: string | undefined
  readonly timeout?: string | undefined
  readonly reason?: string | undefined
  readonly limit?: string | undefined
  readonly all?: boolean | undefined
  readonly yes?: boolean | undefined
  readonly 'older-than'?: string | undefined
  readonly 'dry-run'?: boolean | undefined
}

type Work = (out: Output, flags: MailboxFlags, words: readonly string[]) => Promise<void>

interface Action {
  readonly options: readonly (keyof MailboxFlags)[]
  readonly work: Work
}

const ACTIONS: Readonly<Record<string, Action>> = {
  list: { options: [], work: list },
  show: { options: [], work: show },
  dead: { options: ['reason', 'limit'], work: withGroup(listLetters) },
  redrive: { options: ['all', 'reason', 'older-than', 'dry-run'], work: withGroup(redriveLetters) },
  purge: { options: ['all', 'reason', 'older-than', 'dry-run', 'yes'], work: withGroup(purgeLetters) },
  send: { options: ['data', 'ack', 'delay', 'store', 'timeout'], work: send },
}

/** Durable mailboxes, which need no hub. */
export async function mailbox(out: Output, flags: MailboxFlags, words: readonly string[]): Promise<void> {
  const [name = '', ...rest] = words
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined
  if (!action) {
    const likely = near(name, Object.keys(ACTIONS)).map((one) => `did you mean ${one}?`)
    const what = name === '' ? 'mailbox needs one of' : `${JSON.stringify(name)} is none of`
    throw new UsageError(`${what} ${Object.keys(ACTIONS).join(', ')}`, ...likely, 'viaduct help mailbox')
  }
  const known: readonly string[] = ['root', 'json', ...action.options]
  const wrong = Object.keys(flags).find((flag) => !known.includes(flag))
  if (wrong !== undefined) {
    throw new UsageError(`mailbox ${name} has no option --${wrong}`, 'viaduct help mailbox')
  }
  await action.work(out, flags, rest)
}

export function rootOf(flags: MailboxFlags): string {
  return flags.root ?? DEFAULT_ROOT
}

function withGroup(
  work: (out: Output, flags: MailboxFlags, group: string, words: readonly string[]) => Promise<void>,
): Work {
  return async (out, flags, [group, ...rest]) => {
    if (group === undefined) throw usage('the name of a mailbox is missing')
    findGroup(rootOf(flags), group)
    await work(out, flags, group, rest)
  }
}

async function list(out: Output, flags: MailboxFlags, [place, ...rest]: readonly string[]): Promise<void> {
  tooMany(rest)
  const root = place ?? rootOf(flags)
  const groups = groupsIn(root)
  if (groups.length === 0) out.note(`${visible(root)} has no mailbox`)
  const states: MailboxState[] = []
  for (const group of groups) states.push(await stateOf(root, group))
  await print(out, states)
}

async function show(out: Output, flags: MailboxFlags, words: readonly string[]): Promise<void> {
  const [group, id, ...rest] = words
  if (group === undefined) throw usage('the name of a mailbox is missing')
  tooMany(rest)
  findGroup(rootOf(flags), group)
  if (id !== undefined) return showLetter(out, flags, group, id)
  await print(out, [await stateOf(rootOf(flags), group)])
  if (!out.json) await out.line('')
  await listLetters(out, flags, group, [])
}

async function print(out: Output, states: readonly MailboxState[]): Promise<void> {
  if (out.json) {
    for (const state of states) await out.value(state)
    return
  }
  if (states.length === 0) return
  const lines = table<MailboxState>(
    states,
    [
      { title: 'MAILBOX', cell: ({ group }) => group },
      { title: 'STORE', cell: ({ store }) => store },
      { title: 'READY', cell: readyText, align: 'right' },
      {
        title: 'DEAD',
        cell: ({ dead }) => String(dead),
        align: 'right',
        paint: (text, { dead }) => (dead > 0 ? out.style('yellow', text) : text),
      },
      {
        title: 'RECEIVER',
        cell: receiverText,
        paint: (text, { receiver }) => out.style(receiver?.running === true ? 'green' : 'yellow', text),
      },
    ],
    (text) => out.style('bold', text),
  )
  for (const line of lines) await out.line(line)
}

function readyText({ ready, about }: MailboxState): string {
  if (ready === undefined) return '-'
  return about && ready > 0 ? `~${ready}` : String(ready)
}

function receiverText({ receiver }: MailboxState): string {
  if (!receiver) return 'none'
  if (receiver.running === undefined) return `pid ${receiver.pid} of another container`
  return receiver.running ? `pid ${receiver.pid}` : `none: pid ${receiver.pid} is dead`
}

async function send(out: Output, flags: MailboxFlags, words: readonly string[]): Promise<void> {
  const [group, type, ...pairs] = words
  if (group === undefined || type === undefined) throw usage('send needs a mailbox and a type')
  const root = rootOf(flags)
  const store = storeFor(flags, root, group)
  const payload = (await readInput(flags.data, pairs)) ?? null
  const delayMs = flags.delay === undefined ? undefined : duration(flags.delay)
  const timeoutMs = flags.timeout === undefined ? 0 : duration(flags.timeout)
  const opened = await Mailbox.open({ root, group, store })
  try {
    const requiresAck = flags.ack ?? false
    const id = await opened.send(type, payload, {
      requiresAck,
      ...(delayMs === undefined ? {} : { delayMs }),
    })
    await (out.json ? out.value({ id }) : out.line(id))
    if (!requiresAck) return
    try {
      await opened.waitForAck(id, timeoutMs > 0 ? { timeoutMs } : {})
    } catch (error) {
      throw notAcknowledged(error, root, group)
    }
    out.note('acknowledged: its receiver is done with it')
  } finally {
    await opened.close()
  }
}

/** The store of a mailbox that is there, or the one that was asked for. */
function storeFor({ store }: MailboxFlags, root: string, group: string): StoreKind {
  checkGroup(group)
  if (store === 'log' || store === 'folder') return store
  if (store !== undefined) throw new UsageError(`--store ${JSON.stringify(store)}: log or folder`)
  try {
    findGroup(root, group)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    throw new Failure(error.message, { next: [...error.next, 'or make it: --store log, or --store folder'] })
  }
  return storeOf(root, group)
}

function notAcknowledged(error: unknown, root: string, group: string): unknown {
  if (!isViaductError(error)) return error
  return new Failure(error.message, {
    exit: callExit(error),
    next: [
      'it is stored, and stays so until a receiver is done with it',
      `viaduct mailbox show ${group} --root ${visible(root)}`,
      `viaduct explain ${error.reason}`,
    ],
    cause: error,
  })
}

function tooMany([extra]: readonly string[]): void {
  if (extra !== undefined) throw usage(`${JSON.stringify(extra)} is one word too many`)
}

function usage(what: string): UsageError {
  return new UsageError(`mailbox: ${what}`, `usage: ${VERBS.mailbox?.usage ?? ''}`)
}
