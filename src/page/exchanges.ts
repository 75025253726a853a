import type { PeerLimits } from '../core/bounds.ts'
import type { CallMarks } from '../core/callHead.ts'
import { type Clock, MAX_TIMER_MS } from '../core/clock.ts'
import type { Method } from '../core/method.ts'
import { named } from '../core/named.ts'
import { pump } from '../core/pump.ts'
import { sweepOver } from '../core/sweep.ts'
import { ViaductError } from '../wire/errors.ts'
import * as FLAG from '../wire/flag.ts'
import { referencesOf } from '../wire/head.ts'
import * as KIND from '../wire/kind.ts'
import { FRAGMENT_BYTES } from '../wire/limits.ts'
import type { ReasonName } from '../wire/reasons.ts'
import { payloadOf, readValue } from './body.ts'
import { linkError } from './errors.ts'
import type { Items } from './items.ts'
import { keyOf, type Link, type Received } from './link.ts'
import type { Marks } from './marks.ts'
import type { Flow, Message } from './outbox.ts'
import type { Values } from './values.ts'

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
  /** Ends it for a reason that lies at this end. @param error what its caller sees in place of one that says this. */
  abort(reason: ReasonName, error?: unknown): void
}

/** Slots of ids; the rest of an id says how often its slot has been used. */
export const SLOTS = 2 ** 20

/** A call of the far end's that is not here whole. */
interface Begun {
  readonly id: number
  readonly abort?: undefined
}

type Saying = Pick<Exchange, 'flow' | 'id' | 'method'>

/**
 * What both ends of calls have in common: which are open, by when they have to end, and how values come and leave. The
 * flags of an answer tell calls that were made here from those that are answered here.
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
  /** Gives an id's slot back, and forgets what has come of a message of it. @returns whether it had the slot. */
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
  /** The value of a message, which is a part of a call. @throws ViaductError that names the part */
  read(method: Method, message: Received): unknown
  /**
   * The message with a part of a call as its payload.
   *
   * @param options marks of a call.
   * @throws ViaductError that names the part: of what cannot be sent, or RESOURCE_EXHAUSTED / MESSAGE_TOO_LARGE
   */
  made(
    method: Method,
    message: Message,
    value: unknown,
    options?: CallMarks,
  ): Message & { readonly payload: Uint8Array }
  /** Writes such a message behind what its flow has to say. */
  say(exchange: Saying, message: Message, value: unknown): void
  /**
   * Sends what an iterable yields, as fast as credit and transport allow: the next one is asked for when none of it
   * waits any more.
   *
   * @returns what stops it.
   */
  send(
    exchange: Saying,
    flags: number,
    items: AsyncIterable<unknown> | Iterable<unknown>,
    done: (output: unknown) => void,
    failed: (error: unknown) => void,
  ): () => void
}

/** What `run` gives; what it throws names the method, and the part of a call that the message is. */
function within<T>(method: Method, { kind, flags = 0 }: Message, run: () => T, ours?: boolean): T {
  try {
    return run()
  } catch (error) {
    const item = flags & FLAG.ANSWER ? 'item' : 'upload'
    const part = ['input', item, 'output', 'error'][kind - KIND.CALL] ?? 'progress'
    throw named(error, method, part, ours)
  }
}

/** @param limits `exchanges` of them may be open in each direction. */
export function exchangesOver(
  link: Link,
  clock: Clock,
  limits: PeerLimits,
  marks: Marks,
  values: Values | undefined,
): Exchanges {
  const { sentBytes = limits.messageBytes } = limits
  const slots = new Map<number, Exchange | Begun>()
  const waiting: (() => void)[] = []

  const slotOf = (id: number, flags: number): number => keyOf(id % SLOTS, flags)
  const entryOf = (id: number, flags: number) => {
    const entry = slots.get(slotOf(id, flags))
    return entry?.id === id ? entry : undefined
  }

  const sweep = sweepOver(clock, (now) => {
    let earliest = Infinity
    for (const exchange of slots.values()) {
      if (!exchange.abort) continue
      // The reader is slow, not the far side: the idle bound rests until it has taken what waits.
      if (exchange.idleAt <= now && exchange.items?.waiting()) exchange.idleAt = Infinity
      const due = Math.min(exchange.deadline, exchange.idleAt)
      if (due > now) earliest = Math.min(earliest, due)
      else exchange.abort('DEADLINE_EXCEEDED')
    }
    return earliest
  })

  const made: Exchanges['made'] = (method, message, value, options) => {
    const isProgress = message.kind === KIND.PROGRESS
    return within(
      method,
      message,
      () => {
        const parts = payloadOf(value, values, options && marks.write(options))
        const most = isProgress ? FRAGMENT_BYTES : Math.min(sentBytes, link.farMessageBytes() || sentBytes)
        if (parts.payload.length > most)
          throw linkError('MESSAGE_TOO_LARGE', `value: over the receiver limit of ${most} bytes`, 'unknown')
        return Object.assign(message, parts)
      },
      // What a handler reports is an argument of its own.
      !isProgress && message.flags === FLAG.ANSWER,
    )
  }
  const say: Exchanges['say'] = ({ flow, id, method }, message, value) =>
    link.outbox.write(flow, { ...made(method, message, value), id })
  const changed = (): void => {
    for (const look of waiting.splice(0)) look()
  }

  link.outbox.onidle = changed

  return {
    open: () => slots.size,
    at(id, flags) {
      const entry = entryOf(id, flags)
      return entry?.abort && entry
    },
    begin(id) {
      const slot = slotOf(id, 0)
      return id % SLOTS < limits.exchanges && !slots.has(slot) && slots.set(slot, { id }).size > 0
    },
    add(exchange, flags) {
      slots.set(slotOf(exchange.id, flags), exchange)
      this.alive(exchange)
    },
    end(id, flags) {
      link.forget(id, flags)
      const isEnded = entryOf(id, flags) !== undefined && slots.delete(slotOf(id, flags))
      changed()
      return isEnded
    },
    alive(exchange) {
      exchange.idleAt = clock.now() + exchange.idleMs
      sweep.expect(Math.min(exchange.deadline, exchange.idleAt))
    },
    fail() {
      sweep.stop()
      for (const exchange of slots.values()) exchange.abort?.('LINK_LOST')
      slots.clear()
      changed()
    },
    until: (isSo, graceMs) =>
      new Promise((resolve) => {
        // What is longer than a timer is for ever.
        const cancel = graceMs <= MAX_TIMER_MS ? clock.after(graceMs, resolve) : undefined
        const look = (): void => {
          if (isSo() || link.closed()) {
            cancel?.()
            resolve()
          } else waiting.push(look)
        }
        look()
      }),
    changed,
    full: () => link.outbox.held() > limits.queueBytes / 2,
    read: (method, message) =>
      within(method, message, () => {
        if ((message.layout & 0xffff) >= 8 && referencesOf(message.payload) > 0)
          throw new ViaductError('UNIMPLEMENTED', 'functions need viaduct/browser/full, or viaduct')
        return readValue(message, limits, values)
      }),
    made,
    say,
    send: (exchange, flags, items, done, failed) => {
      const { flow } = exchange
      return pump(items, {
        send: (item) => say(exchange, { kind: KIND.ITEM, flags }, item),
        isHeld: () => flow.waiting.length > 0 || flow.credit <= 0,
        whenFree(resume) {
          flow.onidle = resume
        },
        done,
        failed,
      })
    },
  }
}
