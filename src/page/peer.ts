import type { ContractOf } from '../contract/entries.ts'
import { type PeerLimits, TRUSTED_LIMITS } from '../core/bounds.ts'
import type { Caller, CallOptions, Handler, ItemStream, PeerInfo, Server, Serving } from '../core/call.ts'
import type { Clock } from '../core/clock.ts'
import type { Method } from '../core/method.ts'
import { NOBODY } from '../core/served.ts'
import type { Transport } from '../core/transport.ts'
import type { CloseReason } from '../wire/closeReason.ts'
import * as FLAG from '../wire/flag.ts'
import * as KIND from '../wire/kind.ts'
import { CALL_TIMEOUT_MS } from '../wire/limits.ts'
import { answersOver } from './answers.ts'
import { callsOver } from './calls.ts'
import { pageClock } from './clock.ts'
import {
  type Client,
  client,
  type Handlers,
  type PageClientOptions,
  type PageServeOptions,
  serveHandlers,
} from './contract.ts'
import { linkError } from './errors.ts'
import { exchangesOver } from './exchanges.ts'
import { linkOver } from './link.ts'
import { type Marks, noMarks } from './marks.ts'
import type { Values } from './values.ts'

export interface PageOptions {
  readonly clock?: Clock
  readonly limits?: PeerLimits
  /** Who is at the far end. */
  readonly far?: PeerInfo
  /** Stacks travel with errors. */
  readonly debug?: boolean
  /** That of `viaduct/browser/marks`: calls carry `traceparent` and `idempotencyKey`. Without it they are refused. */
  readonly marks?: Marks
  /** That of `viaduct/browser/values`: bigints, maps, sets and errors are sent and read. Without it they are refused. */
  readonly values?: Values
}

/**
 * One end of a link: it makes calls and answers them. It has the members of the whole `LinkPeer` but for its core, and
 * they do the same.
 */
export interface PagePeer extends Caller, Server {
  /** A contract's methods as functions. A link has one far end, so there is no target to name. */
  client<E>(contract: ContractOf<E>, target?: undefined, options?: PageClientOptions): Client<E>
  /** Serves a contract until it is withdrawn; see {@link Serving}. */
  serve<E>(
    contract: ContractOf<E>,
    handlers: Handlers<E>,
    options?: PageServeOptions & { readonly partial?: false },
  ): Serving
  serve<E>(
    contract: ContractOf<E>,
    handlers: Partial<Handlers<E>>,
    options: PageServeOptions & { readonly partial: true },
  ): Serving
  call(method: string | Method, input?: unknown, options?: CallOptions): Promise<unknown>
  stream(method: string | Method, input?: unknown, options?: CallOptions): ItemStream
  /** Sends one way. False when the outbox is full and the message was not taken; see {@link drained}. */
  notify(method: string | Method, input?: unknown): boolean
  /** Serves one method until it is withdrawn; see {@link Serving}. */
  handle(method: string | Method, handler: Handler): Serving
  /** Makes several calls whose frames leave in one write; each settles by itself. */
  batch<T extends readonly PromiseLike<unknown>[]>(
    make: () => [...T],
  ): Promise<{ [K in keyof T]: PromiseSettledResult<Awaited<T[K]>> }>
  /** Milliseconds of a round trip to the far end of the link. */
  ping(): Promise<number>
  /** Settles when the outbox takes more; at once unless it is full. */
  drained(): Promise<void>
  /**
   * Goes away in good order: takes no new calls, finishes those that run, then closes.
   *
   * @param graceMs how long to wait for handlers.
   */
  drain(graceMs?: number): Promise<void>
  /** Ends the link now; open calls fail with LINK_LOST. */
  close(reason?: CloseReason): void
  /** Settles with the reason when the link has ended; never rejects. */
  readonly closed: Promise<CloseReason>
  readonly isClosed: boolean
  /** Calls that are open in both directions. */
  readonly openCalls: number
}

/**
 * A peer over a transport: whoever holds the other end is the other peer. Use it where the transport itself is the
 * proof of who is there, as a worker's port.
 */
export function peerOver(
  transport: Transport,
  {
    clock = pageClock,
    debug = false,
    far = NOBODY,
    limits = TRUSTED_LIMITS,
    marks = noMarks,
    values,
  }: PageOptions = {},
): PagePeer {
  let settleClosed = (_reason: CloseReason): void => {}
  const closed = new Promise<CloseReason>((resolve) => {
    settleClosed = resolve
  })

  const link = linkOver(transport, clock, limits.messageBytes, {
    message(message) {
      const { flags, id, kind } = message
      const exchange = exchanges.at(id, flags)
      if (kind > KIND.RELEASE || (kind > KIND.DROP && kind < KIND.CALL)) return false
      if (kind === KIND.CALL) answers.call(message)
      // What a far end says of our methods, and a cancel of its own answer, have no effect.
      else if (kind === KIND.ROUTE || (kind === KIND.CANCEL && flags & FLAG.ANSWER)) return true
      else if (kind < KIND.CALL) answers.route(message)
      else if (exchange && kind === KIND.CREDIT) link.outbox.grant(exchange.flow, message.window)
      else if (exchange) exchange.receive(message)
      else if (kind === KIND.CANCEL && exchanges.end(id, flags)) answers.bare(id, 'CANCELLED')
      return true
    },
    admits(first, bytes, held) {
      const { flags, id, kind } = first
      const exchange = exchanges.at(id, flags)
      const isTooLarge = bytes > limits.messageBytes || held + bytes > limits.queueBytes
      if (kind === KIND.CALL) {
        const isOneWay = (flags & FLAG.ONE_WAY) !== 0
        if (!isTooLarge && (isOneWay || exchanges.begin(id))) return true
        if (!isTooLarge || exchange) link.violation()
        else if (!isOneWay) answers.bare(id, 'MESSAGE_TOO_LARGE')
        return false
      }
      // Of an exchange that is not open it is late, and so are the fragments after it.
      if (!exchange) return false
      // An error may cut a message of its direction short.
      if (kind === KIND.ERROR) link.forget(id, flags)
      if (!isTooLarge) return true
      exchange.abort('MESSAGE_TOO_LARGE')
      // The callee has ended, whatever it said: what follows of that is late.
      if (kind !== KIND.ITEM && flags & FLAG.ANSWER) exchange.receive({ ...first, kind: KIND.ERROR })
      return false
    },
    part({ flags, id }, bytes) {
      const exchange = exchanges.at(id, flags)
      if (!exchange) return
      exchange.items?.part(bytes)
      exchanges.alive(exchange)
    },
    closed(reason) {
      exchanges.fail()
      settleClosed(reason)
    },
  })
  const exchanges = exchangesOver(link, clock, limits, marks, values)
  const calls = callsOver(link, exchanges, clock, limits)
  const answers = answersOver(link, exchanges, clock, debug, far, limits, marks)

  return {
    ...calls,
    client: (contract, _, given) => client(calls, contract, given),
    serve<E>(contract: ContractOf<E>, handlers: Partial<Handlers<E>>, given?: PageServeOptions) {
      return serveHandlers(this, contract, handlers, given)
    },
    handle: answers.handle,
    batch: (make) => Promise.allSettled(link.outbox.batch(make)),
    ping: () =>
      new Promise((resolve, reject) => {
        const fate = link.closed() ? 'not-sent' : 'unknown'
        const sentAt = clock.now()
        link.ping(() => {
          if (link.closed()) reject(linkError('LINK_LOST', 'ping', fate))
          else resolve(clock.now() - sentAt)
        })
      }),
    drained: () => exchanges.until(() => !exchanges.full(), Infinity),
    async drain(graceMs = CALL_TIMEOUT_MS) {
      if (link.closed()) return
      answers.drain()
      link.drain()
      // Once the far end has seen that, no call which crossed it is still to come.
      let isSeen = false
      link.ping(() => {
        isSeen = true
        exchanges.changed()
      })
      // Answers that still wait in the outbox are part of finishing.
      await exchanges.until(() => isSeen && exchanges.open() === 0 && !link.outbox.full(), graceMs)
      this.close()
    },
    close: (reason = 'GOING_AWAY') => link.close(reason),
    closed,
    get isClosed() {
      return link.closed() !== undefined
    },
    get openCalls() {
      return exchanges.open()
    },
  }
}
