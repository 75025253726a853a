import { methodOf } from '../contract/byName.ts'
import type { ContractOf } from '../contract/entries.ts'
import { type PeerLimits, TRUSTED_LIMITS } from '../core/bounds.ts'
import type {
  Caller,
  CallOptions,
  Handler,
  ItemStream,
  PeerInfo,
  Server,
  Serving,
  Target,
} from '../core/call.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import type { Method } from '../core/method.ts'
import { NOBODY } from '../core/served.ts'
import { Sweep } from '../core/sweep.ts'
import type { Transport } from '../core/transport.ts'
import type { CloseReason } from '../wire/closeReason.ts'
import type { Fate } from '../wire/errors.ts'
import * as FLAG from '../wire/flag.ts'
import * as KIND from '../wire/kind.ts'
import { CALL_TIMEOUT_MS } from '../wire/limits.ts'
import { answersOver } from './answers.ts'
import { callsOver } from './calls.ts'
import {
  type Client,
  client,
  type Handlers,
  type PageClientOptions,
  type PageServeOptions,
  serve,
} from './contract.ts'
import { linkError } from './errors.ts'
import { linkOver } from './link.ts'
import { speakerOver } from './speaker.ts'

export interface PageOptions {
  readonly clock?: Clock
  readonly limits?: PeerLimits
  /** Who is at the far end. */
  readonly far?: PeerInfo
  /** Stacks travel with errors. */
  readonly debug?: boolean
}

/**
 * One end of a link: it makes calls and answers them. It has the members of the whole `LinkPeer` but for its core, and
 * they do the same.
 */
export interface PagePeer extends Caller, Server {
  /** A contract's methods as functions, towards a target; without one, towards the far end of the link. */
  client<E>(contract: ContractOf<E>, target?: Target, options?: PageClientOptions): Client<E>
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
  call(
    method: string | Method,
    input?: unknown,
    options?: CallOptions & { readonly target?: Target },
  ): Promise<unknown>
  stream(
    method: string | Method,
    input?: unknown,
    options?: CallOptions & { readonly target?: Target },
  ): ItemStream
  /** Sends one way. False when the outbox is full and the message was not taken; see {@link drained}. */
  notify(method: string | Method, input?: unknown, target?: Target): boolean
  /** Serves one method until it is withdrawn; see {@link Serving}. */
  handle(method: string | Method, handler: Handler): Serving
  /** Who makes calls towards a target; without one, towards the far end of the link. */
  to(target?: Target): Caller
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
  const { clock = systemClock, debug = false, far = NOBODY, limits = TRUSTED_LIMITS } = options
  let settleClosed = (_reason: CloseReason): void => {}
  const closed = new Promise<CloseReason>((resolve) => {
    settleClosed = resolve
  })
  const lost = new Set<(fate: Fate) => void>()
  /** Set once the far end has seen our GOAWAY: no call that crossed it is still to come. */
  let ondrained: (() => void) | undefined

  const openCalls = (): number => calls.open() + answers.open()
  // Answers that still wait in the outbox are part of finishing.
  const ended = (): void => {
    if (ondrained && openCalls() === 0) link.outbox.whenRoom(ondrained)
  }

  const link = linkOver(transport, clock, limits.messageBytes, {
    message(message) {
      const { flags, id, kind } = message
      const isAnswer = (flags & FLAG.ANSWER) !== 0
      // BACK, RELEASE: nothing here has functions to call; of what is not open they are late.
      if (kind === KIND.BACK || kind === KIND.RELEASE) return !(isAnswer && calls.isOpen(id))
      if (kind > KIND.PROGRESS || (kind > KIND.DROP && kind < KIND.CALL)) return false
      if (kind === KIND.ROUTE) return true
      if (kind < KIND.CALL || !isAnswer) answers.receive(message)
      else if (kind !== KIND.CANCEL) calls.receive(message)
      return true
    },
    admits({ flags, id, kind, payloadBytes }, held) {
      const side = (flags & FLAG.ANSWER) !== 0 ? calls : answers
      const isOneWay = (flags & FLAG.ONE_WAY) !== 0
      // Of an exchange that is not open it is late, and so are the fragments after it.
      if (kind !== KIND.CALL && !side.isOpen(id)) return false
      // An error may cut a message of its direction short.
      if (kind === KIND.ERROR) link.forget(id, flags)
      if (payloadBytes > limits.messageBytes || held + payloadBytes > limits.queueBytes) {
        if (kind !== KIND.CALL) side.tooLarge(id, kind)
        else if (answers.isOpen(id)) link.violation()
        else if (!isOneWay) answers.bare(id, 'MESSAGE_TOO_LARGE')
        return false
      }
      if (kind !== KIND.CALL || isOneWay || answers.begin(id)) return true
      link.violation()
      return false
    },
    part({ flags, id }, bytes) {
      ;((flags & FLAG.ANSWER) !== 0 ? calls : answers).part(id, bytes)
    },
    goaway: () => calls.goaway(),
    closed(reason) {
      sweep.stop()
      calls.fail(reason)
      answers.fail(reason)
      for (const fail of lost) fail('unknown')
      settleClosed(reason)
    },
  })
  const sweep = new Sweep(clock, (now) => Math.min(calls.sweep(now), answers.sweep(now)))
  const speaker = speakerOver(link, limits.sentBytes ?? limits.messageBytes, limits.queueBytes)
  const calls = callsOver(link, speaker, clock, sweep, limits, ended)
  const answers = answersOver(link, speaker, clock, sweep, { debug, far, limits }, ended)

  return {
    client: (contract, target, given) => client(calls.callerOf(target), contract, given),
    serve<E>(contract: ContractOf<E>, handlers: Partial<Handlers<E>>, given: PageServeOptions = {}) {
      return serve(this, contract, handlers, { ...given, partial: true })
    },
    to: calls.callerOf,
    call: (method, input, given = {}) =>
      calls.callerOf(given.target).call(methodOf(method, 'call'), input, given),
    stream: (method, input, given = {}) =>
      calls.callerOf(given.target).stream(methodOf(method, 'stream'), input, given),
    notify: (method, input, target) => calls.callerOf(target).notify(methodOf(method, 'call'), input),
    handle: (method, handler) => answers.handle(methodOf(method, 'call'), handler, closed),
    batch: (make) => Promise.allSettled(link.outbox.cork(make)),
    ping: () =>
      new Promise((resolve, reject) => {
        const fail = (fate: Fate): void => reject(linkError('LINK_LOST', 'ping', fate))
        if (link.closed()) return fail('not-sent')
        lost.add(fail)
        link.ping((roundTripMs) => {
          lost.delete(fail)
          resolve(roundTripMs)
        })
      }),
    drained: () =>
      new Promise((resolve) => {
        if (!speaker.full() || link.closed()) return resolve()
        link.outbox.whenRoom(resolve)
        void closed.then(() => resolve())
      }),
    async drain(graceMs = CALL_TIMEOUT_MS) {
      if (link.closed()) return
      answers.drain()
      link.goAway()
      await new Promise<void>((resolve) => {
        const cancel = clock.after(graceMs, resolve)
        void closed.then(() => {
          cancel()
          resolve()
        })
        link.ping(() => {
          ondrained = () => {
            if (openCalls() > 0 || link.outbox.congested()) return
            cancel()
            resolve()
          }
          ended()
        })
      })
      this.close()
    },
    close: (reason = 'GOING_AWAY') => link.close(reason),
    closed,
    get isClosed() {
      return link.closed() !== undefined
    },
    get openCalls() {
      return openCalls()
    },
  }
}
