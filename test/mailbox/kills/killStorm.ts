/**
 * Senders stream messages and receivers handle them, while one after the other is killed and started again. What
 * happened is judged by the ledgers that they wrote before and after everything they did.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { StoreKind } from '../../../src/mailbox/options.ts'
import { random } from '../../storm/random.ts'
import { type Child, type Line, Processes } from './processes.ts'

export interface MailboxStorm {
  readonly program: string
  readonly store: StoreKind
  readonly seed: number
  readonly kills: number
  readonly messages: number
  readonly seconds: number
  /** Called now and then with how many were killed. */
  readonly onProgress?: (kills: number) => void
}

export interface MailboxVerdict {
  readonly kills: { readonly receivers: number; readonly senders: number }
  readonly sent: number
  readonly starts: number
  readonly effects: number
  /** Handlers that ran again for an id whose effect was there: allowed, at least once. */
  readonly repeats: number
  readonly acknowledged: number
  readonly dead: number
  readonly faults: readonly string[]
  readonly folder: string
}

const SENDERS = 2
const RECEIVERS = 2
const AT_ONCE = 8
/** From one kill to the next. */
const MEAN_MS = 200
const SETTLE_MS = 60_000
const PROGRESS_KILLS = 250

export async function mailboxStorm(storm: MailboxStorm): Promise<MailboxVerdict> {
  const chance = random(storm.seed)
  // A message that is killed again and again is no poison here.
  const receive = { concurrency: 16, retryDelayMs: 100, maxRetries: 1_000_000 }
  const box = new Processes(storm.program, { store: storm.store, ackTimeoutMs: 300_000 })
  const perSender = Math.ceil(storm.messages / SENDERS)
  const pauseMs = (storm.kills * MEAN_MS * AT_ONCE) / perSender
  const killed = new Map<string, bigint>()
  const count = { receivers: 0, senders: 0 }
  /** What a killed sender had begun: its next life goes on behind it. */
  const next = Array.from({ length: SENDERS }, () => 0)
  let names = 0
  const sender = (index: number): Child =>
    box.start(`s${index}-${names++}`, {
      stream: { count: perSender, atOnce: AT_ONCE, from: next[index] ?? 0, ackEach: 10, pauseMs },
    })
  const receiver = (): Child => box.start(`r${names++}`, { receive })
  const senders = Array.from({ length: SENDERS }, (_, index) => sender(index))
  const receivers = Array.from({ length: RECEIVERS }, receiver)
  const over = Date.now() + storm.seconds * 1000
  for (let kills = 0; kills < storm.kills && Date.now() < over; kills++) {
    if (kills > 0 && kills % PROGRESS_KILLS === 0) storm.onProgress?.(kills)
    await sleep(20 + chance.below(2 * MEAN_MS))
    const isSender = chance.next() < 0.3
    const index = chance.below(isSender ? SENDERS : RECEIVERS)
    const victim = (isSender ? senders : receivers)[index]
    if (!victim) continue
    await victim.kill()
    killed.set(victim.name, process.hrtime.bigint())
    if (isSender) {
      count.senders++
      const begun = box.ledgerOf(victim.name).filter(({ what }) => what === 'send')
      next[index] = (next[index] ?? 0) + begun.length
      senders[index] = sender(index)
    } else {
      count.receivers++
      receivers[index] = receiver()
    }
  }
  // Calm: all that was sent is to be handled.
  const calmUntil = Date.now() + SETTLE_MS
  for (const one of senders) await one.said({ streamed: perSender })
  for (;;) {
    const lines = box.ledger()
    const ended = new Set(lines.flatMap(({ what, id }) => (what === 'end' ? [id] : [])))
    if (lines.every(({ what, id }) => what !== 'sent' || ended.has(id)) || Date.now() > calmUntil) break
    await sleep(500)
  }
  for (const one of [...senders, ...receivers]) await one.stop()
  const lines = box.ledger()
  const faults = judge(lines, killed)
  const tally = (what: string): number => lines.reduce((sum, line) => sum + (line.what === what ? 1 : 0), 0)
  const dead = box.letters
  if (dead > 0) faults.push(`${dead} dead letters`)
  const verdict = {
    kills: count,
    sent: tally('sent'),
    starts: tally('start'),
    effects: box.effects,
    repeats: tally('repeat'),
    acknowledged: tally('acked'),
    dead,
    faults,
    folder: box.folder,
  }
  await box.close(faults.length > 0)
  return verdict
}

/** @param killed when each process was surely dead */
export function judge(lines: readonly Line[], killed: ReadonlyMap<string, bigint>): string[] {
  const faults: string[] = []
  const byId = new Map<string, Line[]>()
  for (const line of lines) {
    const of = byId.get(line.id)
    if (of) of.push(line)
    else byId.set(line.id, [line])
  }
  for (const [id, of] of byId) {
    const has = (what: string): boolean => of.some((line) => line.what === what)
    if (has('sent') && !has('end')) faults.push(`${id} was sent, and never handled: lost`)
    if (has('start') && !has('send')) faults.push(`${id} was started, and never sent`)
    if (of.filter(({ what }) => what === 'effect').length > 1) faults.push(`${id} had its effect twice`)
    const acked = of.find(({ what }) => what === 'acked')
    let running: Line | undefined
    for (const line of of) {
      if (line.what === 'start') {
        if (acked && acked.atNs < line.atNs) faults.push(`${id} was started after it was acknowledged`)
        const diedNs = running && killed.get(running.by)
        if (running && (diedNs === undefined || diedNs > line.atNs)) {
          faults.push(`${id} was started in ${line.by} while it ran in ${running.by}`)
        }
        running = line
      }
      if (line.what === 'end' && running?.by === line.by) running = undefined
    }
    if (acked && !of.some(({ what, atNs }) => what === 'end' && atNs < acked.atNs)) {
      faults.push(`${id} was acknowledged before it was handled`)
    }
  }
  return faults
}
