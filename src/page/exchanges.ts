import { type Clock, MAX_TIMER_MS } from '../core/clock.ts'
import type { Method } from '../core/method.ts'
import { pump } from '../core/pump.ts'
import { sweepOver } from '../core/sweep.ts'
import { ViaductError } from '../wire/errors.ts'
import * as FLAG from '../wire/flag.ts'
import * as KIND from '../wire/kind.ts'
import { FRAGMENT_BYTES } from '../wire/limits.ts'
import type { ReasonName } from '../wire/reasons.ts'
import { payloadOf } from './body.ts'
import { within } from './errors.ts'
import type { Items } from './items.ts'
import type { Link, Received } from './link.ts'
import type { Flow, Message } from './outbox.ts'

/** A call that is open, at the end that made it or at the one that answers it. */
export interface Exchange {
  readonly id: number
  readonly method: Method
  /** What this end says. */
  readonly flow: Flow
  /** What the far end sends of items; none at the caller of what is answered once. */
  readonly items: Items | undefined
  /** By when it has to end, or of a stream to open. */
  deadline: number
  /** By when something has to come; when it does, so many ms later. */
  idleAt: number
  readonly idleMs: number
  /** A message of it has come, other than credit. */
  receive(message: Received): void
  /** Ends it for a reason that lies at this end. */
  abort(reason: ReasonName): void
}

/** Slots of ids; the rest of an id says how often its slot has been used. */
export const SLOTS = 2 ** 20
/** The next id of a slot whose call has ended: below 2^30, a small integer in every engine. 0 means none. */
export const nextId = (id: number): number => (id + SLOTS) & 0x3fff_ffff || SLOTS

/**
 * What both ends of calls have in common: which are open, by when they have to end, and how values leave. The flags of
 * an answer tell calls that were made here from those that are answered here.
 */
export interface Exchanges {
  /** Calls that are open in both directions. */
  open(): number
  /** The call of an id; undefined while it is not here whole. */
  at(id: number, flags: number): Exchange | undefined
  /** Takes the slot of a far end's id, whose call is not here whole. @returns false when it is taken, or is none. */
  begin(id: number): boolean
  /** Puts a call into its slot. */
  add(exchange: Exchange, flags: number): void
  /** Gives an id's slot back. @returns whether it had it. */
  end(id: number, flags: number): boolean
  /** Something of it has come, or the reader has taken what had: the idle bound begins anew. */
  alive(exchange: Exchange): void
  /** The link has ended. */
  fail(): void
  /** Settles when it is so, or when the link has ended, after `graceMs` at the latest. It is looked at again by `changed`. */
  until(isSo: () => boolean, graceMs: number): Promise<void>
  /** A call has ended, or whatever else may have made it so. */
  changed(): void
  /** Whether so much waits that nothing new may be begun. */
  full(): boolean
  /**
   * The message with a value as its payload.
   *
   * @throws ViaductError of what cannot be sent, or RESOURCE_EXHAUSTED / MESSAGE_TOO_LARGE
   */
  made(message: Message, value: unknown, head?: Uint8Array): Message & { readonly payload: Uint8Array }
  /** Writes such a message behind what its flow has to say. */
  say(flow: Flow, message: Message, value: unknown): void
  /** Sends what an iterable yields, as fast as credit and transport allow. @returns what stops it. */
  send(
    { flow, id, method }: Pick<Exchange, 'flow' | 'id' | 'method'>,
    flags: number,
    items: AsyncIterable<unknown> | Iterable<unknown>,
    done: (output: unknown) => void,
    failed: (error: unknown) => void,
  ): () => void
}

/**
 * @param exchanges how many may be open in each direction.
 * @param sentBytes the longest message that may be sent, before the far end has said what it takes.
 */
export function exchangesOver(
  link: Link,
  clock: Clock,
  exchanges: number,
  sentBytes: number,
  queueBytes: number,
): Exchanges {
  const { outbox } = link
  const slots = new Map<number, { readonly id: number; readonly exchange?: Exchange }>()
  const checks = new Set<() => void>()

  const slotOf = (id: number, flags: number): number => (id % SLOTS) * 16 + (flags & FLAG.ANSWER)
  const entryOf = (id: number, flags: number) => {
    const entry = slots.get(slotOf(id, flags))
    return entry?.id === id ? entry : undefined
  }

  const sweep = sweepOver(clock, (now) => {
    let earliest = Infinity
    for (const { exchange } of slots.values()) {
      if (!exchange) continue
      // The reader is slow, not the far side: the idle bound rests until it has taken what waits.
      if (exchange.idleAt <= now && exchange.items?.waiting()) exchange.idleAt = Infinity
      const due = Math.min(exchange.deadline, exchange.idleAt)
      if (due > now) earliest = Math.min(earliest, due)
      else exchange.abort('DEADLINE_EXCEEDED')
    }
    return earliest
  })
  const expect = ({ deadline, idleAt }: Exchange): void => sweep.expect(Math.min(deadline, idleAt))

  const made: Exchanges['made'] = (message, value, head) => {
    const parts = payloadOf(value, head)
    const most =
      message.kind === KIND.PROGRESS
        ? FRAGMENT_BYTES
        : Math.min(sentBytes, link.farMessageBytes() || sentBytes)
    if (parts.payload.length > most) {
      throw new ViaductError('RESOURCE_EXHAUSTED', `value: over the receiver’s limit of ${most} bytes`, {
        reason: 'MESSAGE_TOO_LARGE',
        fate: message.kind === KIND.CALL ? 'not-sent' : 'unknown',
      })
    }
    return Object.assign(message, parts)
  }
  const say: Exchanges['say'] = (flow, message, value) => outbox.write(flow, made(message, value))
  const changed = (): void => {
    for (const check of checks) check()
  }

  return {
    open: () => slots.size,
    at: (id, flags) => entryOf(id, flags)?.exchange,
    begin(id) {
      const slot = slotOf(id, 0)
      return id % SLOTS < exchanges && !slots.has(slot) && slots.set(slot, { id }).size > 0
    },
    add(exchange, flags) {
      slots.set(slotOf(exchange.id, flags), { id: exchange.id, exchange })
      expect(exchange)
    },
    end: (id, flags) => entryOf(id, flags) !== undefined && slots.delete(slotOf(id, flags)),
    alive(exchange) {
      exchange.idleAt = clock.now() + exchange.idleMs
      expect(exchange)
    },
    fail() {
      sweep.stop()
      for (const { exchange } of [...slots.values()]) exchange?.abort('LINK_LOST')
      slots.clear()
      changed()
    },
    until: (isSo, graceMs) =>
      new Promise((resolve) => {
        const settle = (): void => {
          checks.delete(check)
          cancel?.()
          resolve()
        }
        const check = (): void => {
          if (isSo() || link.closed()) settle()
        }
        // What is longer than a timer is for ever.
        const cancel = graceMs <= MAX_TIMER_MS ? clock.after(graceMs, settle) : undefined
        checks.add(check)
        check()
      }),
    changed,
    full: () => outbox.held() > queueBytes / 2,
    made,
    say,
    send({ flow, id, method }, flags, items, done, failed) {
      return pump(items, {
        send: (item) =>
          within(
            method,
            flags ? 'item' : 'upload',
            () => say(flow, { kind: KIND.ITEM, id, flags }, item),
            flags > 0,
          ),
        isHeld: () => flow.waiting.length > 0 || flow.credit <= 0 || outbox.congested(),
        whenFree(resume) {
          flow.onidle = resume
          if (flow.waiting.length === 0 && flow.credit > 0) outbox.whenRoom(resume)
        },
        done,
        failed,
      })
    },
  }
}
