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
import { callsOver, methodOf } from './calls.ts'
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

export interface PageOptions {
  readonly clock?: Clock
  readonly limits?: PeerLimits
  /** Who is at the far end. */
  readonly far?: PeerInfo
  /** Stacks travel with errors. */
  readonly debug?: boolean
  /** That of `viaduct/browser/marks`: calls carry `traceparent` and `idempotencyKey`. Without it they are refused. */
  readonly marks?: Marks
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
export function peerOver(transport: Transport, options: PageOptions = {}): PagePeer {
  const { clock = pageClock, debug = false, far = NOBODY, limits = TRUSTED_LIMITS, marks = noMarks } = options
  let settleClosed = (_reason: CloseReason): void => {}
  const closed = new Promise<CloseReason>((resolve) => {
    settleClosed = resolve
  })

  const link = linkOver(transport, clock, limits.messageBytes, {
    message(message) {
      const { flags, id, kind, window } = message
      const isAnswer = (flags & FLAG.ANSWER) !== 0
      const exchange = exchanges.at(id, flags)
      // BACK, RELEASE: nothing here has functions to call; of what is not open they are late.
      if (kind > KIND.PROGRESS)
        return (kind === KIND.BACK || kind === KIND.RELEASE) && !(isAnswer && exchange)
      if (kind > KIND.DROP && kind < KIND.CALL) return false
      // What a far end says of our methods, and a cancel of its own answer, have no effect.
      if (kind === KIND.ROUTE || (kind === KIND.CANCEL && isAnswer)) return true
      if (kind < KIND.CALL) answers.route(message)
      else if (kind === KIND.CALL) answers.call(message)
      else if (exchange && kind === KIND.CREDIT) link.outbox.grant(exchange.flow, window)
      else if (exchange) exchange.receive(message)
      else if (kind === KIND.CANCEL && link.forget(id, 0) && exchanges.end(id, 0))
        answers.bare(id, 'CANCELLED')
      return true
    },
    admits(first, held) {
      const { flags, id, kind, payloadBytes } = first
      const exchange = exchanges.at(id, flags)
      const isTooLarge = payloadBytes > limits.messageBytes || held + payloadBytes > limits.queueBytes
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
  const { exchanges: most, messageBytes, queueBytes, sentBytes = messageBytes } = limits
  const exchanges = exchangesOver(link, clock, most, sentBytes, queueBytes)
  const calls = callsOver(link, exchanges, clock, limits, marks)
  const answers = answersOver(link, exchanges, clock, debug, far, limits, marks)

  return {
    ...calls,
    client: (contract, _, given) => client(calls, contract, given),
    serve<E>(contract: ContractOf<E>, handlers: Partial<Handlers<E>>, given?: PageServeOptions) {
      return serveHandlers(this, contract, handlers, given)
    },
    handle: (method, handler) => answers.handle(methodOf(method), handler),
    batch: (make) => Promise.allSettled(link.outbox.cork(make)),
    ping: () =>
      new Promise((resolve, reject) => {
        const fate = link.closed() ? 'not-sent' : 'unknown'
        link.ping((roundTripMs) => {
          if (roundTripMs === undefined) reject(linkError('LINK_LOST', 'ping', fate))
          else resolve(roundTripMs)
        })
      }),
    drained() {
      link.outbox.whenRoom(exchanges.changed)
      return exchanges.until(() => !exchanges.full(), Infinity)
    },
    async drain(graceMs = CALL_TIMEOUT_MS) {
      if (link.closed()) return
      answers.drain()
      link.goAway()
      // Once the far end has seen that, no call which crossed it is still to come.
      let isSeen = false
      link.ping(() => {
        isSeen = true
        exchanges.changed()
      })
      await exchanges.until(() => {
        if (!isSeen || exchanges.open() > 0) return false
        // Answers that still wait in the outbox are part of finishing.
        if (!link.outbox.congested()) return true
        link.outbox.whenRoom(exchanges.changed)
        return false
      }, graceMs)
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
