/**
 * A process of the mailbox tests: sends or receives as it was told, and writes a ledger that survives its end, each
 * line `<monotonic ns> <what> <id> <attempt>`.
 */
import { openSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Mailbox, type MailboxOptions, type ReceiveOptions, type SendOptions } from 'viaduct/mailbox'

export interface Orders {
  readonly mailbox: MailboxOptions
  /** The folder of ledgers and effects. */
  readonly folder: string
  readonly name: string
  readonly receive?: ReceiveOptions
  /** So many messages with ids `<name>.<number>`, so many under way at once. */
  readonly stream?: {
    readonly count: number
    readonly atOnce: number
    readonly from: number
    readonly ackEach: number
    /** Between one of those under way and the next. */
    readonly pauseMs?: number
  }
}

/** What a handler is to do with a message. */
export interface Task {
  readonly do?: 'ok' | 'fail' | 'fatal' | 'abort' | 'sleep' | 'hang'
  readonly ms?: number
  /** Fails only at the first attempt. */
  readonly once?: boolean
  readonly n?: number
}

export type Command =
  | {
      readonly send: readonly {
        readonly type: string
        readonly payload: Task
        readonly options?: SendOptions
      }[]
    }
  | { readonly waitForAck: string; readonly timeoutMs: number }
  | { readonly stats: true }
  | { readonly stop: true }

const orders: Orders = JSON.parse(process.argv[2] ?? '')
const fd = openSync(join(orders.folder, `${orders.name}.ledger`), 'a')
const note = (what: string, id: string, attempt = 0): void =>
  void writeSync(fd, `${process.hrtime.bigint()} ${what} ${id} ${attempt}\n`)
const say = (message: object): void => {
  if (process.connected) process.send?.(message)
}

const mailbox = await Mailbox.open({
  ...orders.mailbox,
  log: (level, text, fields) => {
    if (level === 'error' || level === 'warn')
      console.error(`${orders.name} ${level} ${text} ${JSON.stringify(fields)}`)
  },
})
mailbox.on('ack', (id) => note('acked', id))
mailbox.on('error', (error, id) => say({ error: error.reason, id }))

const receiver = orders.receive
  ? await mailbox.receive(async ({ id, payload }, { attempt, signal, extend }) => {
      note('start', id, attempt)
      const task: Task = typeof payload === 'object' && payload !== null ? payload : {}
      say({ start: id, attempt })
      const fails = task.once !== true || attempt === 1
      if (task.do === 'abort') process.abort()
      if (task.do === 'fail' && fails) throw new Error(`${id} fails`)
      if (task.do === 'fatal') throw Object.assign(new Error(`${id} is hopeless`), { recoverable: false })
      if (task.do === 'sleep') {
        extend((task.ms ?? 0) * 2)
        await sleep(task.ms ?? 0)
      }
      if (task.do === 'hang' && fails) {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
        say({ aborted: id })
      }
      try {
        writeFileSync(join(orders.folder, 'effects', id), '', { flag: 'wx' })
        note('effect', id, attempt)
      } catch {
        note('repeat', id, attempt)
      }
      note('end', id, attempt)
      say({ end: id, attempt })
    }, orders.receive)
  : undefined
void receiver?.ready.then(
  () => say({ active: true }),
  () => {},
)

process.on('message', (command: Command) => void obey(command))
process.on('disconnect', () => process.exit())
say({ open: true })
if (orders.stream) await stream(orders.stream)

async function obey(command: Command): Promise<void> {
  try {
    if ('send' in command) {
      await Promise.all(
        command.send.map(async ({ type, payload, options }) => {
          const id = await mailbox.send(type, payload, options)
          note('sent', id)
          say({ sent: id })
        }),
      )
    } else if ('waitForAck' in command) {
      await mailbox.waitForAck(command.waitForAck, { timeoutMs: command.timeoutMs })
      say({ acked: command.waitForAck })
    } else if ('stats' in command) {
      say({ stats: { ...receiver?.stats() } })
    } else {
      await mailbox.close()
      say({ closed: true })
      process.disconnect()
    }
  } catch (error) {
    say({ failed: error instanceof Error ? error.message : String(error) })
  }
}

async function stream({
  count,
  atOnce,
  from,
  ackEach,
  pauseMs,
}: NonNullable<Orders['stream']>): Promise<void> {
  let next = from
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < count) {
        const n = next++
        const id = `${orders.name}.${n}`
        note('send', id)
        await mailbox.send('task', { n }, { id, requiresAck: n % ackEach === 0 })
        note('sent', id)
        if (pauseMs !== undefined) await sleep(pauseMs)
      }
    }),
  )
  say({ streamed: count })
}
