import type { PeerLimits } from '../core/bounds.ts'
import type { CallContext, Handler, PeerInfo, Serving } from '../core/call.ts'
import type { Clock } from '../core/clock.ts'
import { sendError } from '../core/errorValue.ts'
import { isIterable, isThenable } from '../core/guards.ts'
import type { Method } from '../core/method.ts'
import { alreadyServed, openLines, ROUTE_LINES } from '../core/served.ts'
import { serving } from '../core/serving.ts'
import { CODES, type Code, type ViaductError } from '../wire/errors.ts'
import * as FLAG from '../wire/flag.ts'
import * as KIND from '../wire/kind.ts'
import { MAX_METHODS, MAX_ROUTES, MIN_WINDOW_BYTES, WINDOW_BYTES } from '../wire/limits.ts'
import { CODE_OF, FATE, type ReasonName, reasonNumber } from '../wire/reasons.ts'
import { linkBodyOf, payloadOf } from './body.ts'
import { methodOf } from './calls.ts'
import { linkError } from './errors.ts'
import type { Exchange, Exchanges } from './exchanges.ts'
import { itemsFor } from './items.ts'
import type { Link, Received } from './link.ts'
import type { Marks } from './marks.ts'
import { flowOf, type Message } from './outbox.ts'

/** A method that is served here. */
interface Served {
  readonly method: Method
  readonly handler: Handler
  /** Calls of it that are being answered, one-way ones too. */
  readonly running: Set<Exchange>
}

/** Of all callers that send none. */
const NO_ITEMS = itemsFor(() => {})
NO_ITEMS.end()

/** Answers calls: runs handlers, and writes what they give. */
export function answersOver(
  link: Link,
  exchanges: Exchanges,
  clock: Clock,
  debug: boolean,
  /** Who calls. */
  far: PeerInfo,
  limits: PeerLimits,
  marks: Marks,
) {
  const byName = new Map<string, Served>()
  /** Names of methods, by route and index, as the caller has numbered them. */
  const routes = new Map<number, Map<number, string>>()
  let defined = 0
  let draining = false

  /** Says what has become of methods on a route, in frames that hold so many each. */
  const tell = (
    route: number,
    names: readonly (readonly [index: number, name: string, ...unknown[]])[],
  ): void => {
    const lines = names.map(([index, name]) => {
      const served = byName.get(name)
      // The fingerprints are never the same: bodies describe themselves here.
      const line = [index, served ? 0 : reasonNumber('METHOD_NOT_FOUND'), false, limits.messageBytes]
      return served?.method.idempotent ? [...line, true] : line
    })
    while (lines.length > 0) {
      link.control({ kind: KIND.ROUTE, route, ...payloadOf({ methods: lines.splice(0, ROUTE_LINES) }) })
    }
  }

  const refresh = (served: string): void => {
    for (const [route, names] of routes) {
      tell(
        route,
        [...names].filter(([, name]) => name === served),
      )
    }
  }

  const error = (code: Code, reason: string): Message => ({
    kind: KIND.ERROR,
    method: CODES[code],
    route: reasonNumber(reason),
    flags: FLAG.ANSWER,
  })

  /** Ends a call, and says without a body why it has no other answer. */
  const bare = (id: number, reason: ReasonName, fate: number = FATE['not-sent']): void => {
    exchanges.end(id, 0)
    link.control({ ...error(CODE_OF[reason], reason), id, window: fate })
  }

  const call = (message: Received): void => {
    const { flags, id } = message
    const isOneWay = (flags & FLAG.ONE_WAY) !== 0
    if (!isOneWay && message.cost > 0 && !exchanges.begin(id)) return link.violation()
    const name = routes.get(message.route)?.get(message.method)
    const served = byName.get(name ?? '')
    const refused =
      (name === undefined && 'ROUTE_UNKNOWN') ||
      (!served && 'METHOD_NOT_FOUND') ||
      (draining && 'DRAINING') ||
      // It does not read what it has asked for.
      (!isOneWay && link.outbox.held() > limits.queueBytes && 'QUEUE_FULL') ||
      // It takes our fingerprint for its own, although we said that they differ.
      (flags & FLAG.DICTIONARY && 'SKEW')
    if (!served || refused) {
      if (!isOneWay) bare(id, refused || 'METHOD_NOT_FOUND')
      return
    }
    const { method, handler, running } = served
    const flow = flowOf(flags & FLAG.LANE, message.window)
    const deadline = message.timeLeft > 0 ? clock.now() + message.timeLeft : Infinity
    const grant = (window: number): void =>
      link.control({ kind: KIND.CREDIT, id, window, flags: FLAG.ANSWER })
    /** The caller may send items. */
    let asks = !isOneWay && (flags & FLAG.UPLOAD) !== 0
    const items = asks ? itemsFor(grant) : NO_ITEMS
    /** Nothing of the caller counts any more. */
    let cancelled = false
    let controller: AbortController | undefined
    let aborted: ViaductError | undefined
    let stop: (() => void) | undefined

    const isOpen = (): boolean => exchanges.at(id, 0) === exchange
    const left = (): void => {
      items.end()
      running.delete(exchange)
      if (isOpen()) exchanges.end(id, 0)
      exchanges.changed()
    }
    const fail = (thrown: unknown): void => {
      try {
        if (isOpen()) {
          sendError(thrown, debug, (value) => {
            exchanges.say(exchange, error(value.code, value.reason), value)
          })
        }
      } catch {
        // Not even that is taken: without a body it says what was too large.
        bare(id, 'MESSAGE_TOO_LARGE', FATE.unknown)
      }
      left()
    }
    const done = (output: unknown): void => {
      if (isOpen()) exchanges.say(exchange, { kind: KIND.END, flags: FLAG.ANSWER }, output)
      left()
    }
    const answered = (output: unknown): void => {
      if (method.kind === 'call' || !isOpen() || !isIterable(output)) return done(output)
      if (aborted) throw aborted
      stop = exchanges.send(exchange, FLAG.ANSWER, output, done, fail)
    }
    const exchange: Exchange = {
      id,
      method,
      flow,
      items,
      // What has opened may take its time.
      deadline: method.kind === 'call' ? deadline : Infinity,
      idleMs: Infinity,
      idleAt: Infinity,
      abort(reason) {
        if (!aborted) {
          aborted = linkError(reason, method.name, 'unknown')
          items.end(aborted)
          controller?.abort(aborted)
          if (stop) {
            stop()
            link.outbox.clear(flow)
          }
        }
        // Its caller is told, whatever a handler does that was aborted before.
        if (stop || reason === 'WITHDRAWN') fail(aborted)
      },
      receive(message) {
        const { kind } = message
        if (cancelled || kind === KIND.ERROR || kind >= KIND.PROGRESS) return
        if (kind === KIND.CANCEL) {
          cancelled = true
          link.forget(id, 0)
          exchange.abort('CANCELLED')
        } else if (!asks) {
          link.violation()
        } else if (kind === KIND.END) {
          asks = false
          items.end()
        } else {
          try {
            items.push(exchanges.read(method, message), message.cost)
          } catch (error) {
            items.end(error)
          }
        }
      },
    }
    const context: CallContext = {
      peer: far,
      deadline,
      upload: items,
      ...marks.read(message.payload.slice(0, message.layout & 0xffff)),
      get signal() {
        controller ??= new AbortController()
        if (aborted) controller.abort(aborted)
        return controller.signal
      },
      get timeLeftMs() {
        return deadline - clock.now()
      },
      progress(value) {
        // Advice: a handler that reports faster than the link carries fills no queue with it.
        if (aborted || !isOpen() || exchanges.full()) return
        exchanges.say(exchange, { kind: KIND.PROGRESS, flags: FLAG.ANSWER }, value)
      },
    }

    running.add(exchange)
    if (!isOneWay) exchanges.add(exchange, 0)
    try {
      const input = exchanges.read(method, message)
      // The caller began with the least window; from here on it has the usual one.
      if (asks) grant(WINDOW_BYTES - MIN_WINDOW_BYTES)
      const given = handler(input, context)
      if (isThenable(given)) Promise.resolve(given).then(answered).catch(fail)
      else answered(given)
    } catch (error) {
      fail(error)
    }
  }

  return {
    bare,
    call,
    /** Takes no further calls. */
    drain() {
      draining = true
    },
    /** @throws ViaductError ALREADY_EXISTS when the name is served here; INVALID_ARGUMENT / BAD_METHOD. */
    handle(given: string | Method, handler: Handler): Serving {
      const method = methodOf(given)
      const { name } = method
      if (byName.has(name)) throw alreadyServed(name)
      const running = new Set<Exchange>()
      const served: Served = { method, handler, running }
      byName.set(name, served)
      refresh(name)
      return serving(async (graceMs) => {
        if (byName.get(name) === served) {
          byName.delete(name)
          refresh(name)
        }
        await exchanges.until(() => running.size === 0, graceMs)
        if (!link.closed()) for (const exchange of running) exchange.abort('WITHDRAWN')
      })
    },
    /** OPEN or DROP of a caller. */
    route(message: Received) {
      const { kind, route } = message
      const names = routes.get(route) ?? new Map<number, string>()
      defined -= names.size
      if (kind === KIND.DROP) {
        routes.delete(route)
        return
      }
      const lines = openLines(linkBodyOf(message)?.methods, MAX_METHODS)
      for (const [index, name] of lines ?? []) names.set(index, name)
      defined += names.size
      if (!lines || route >= MAX_ROUTES || defined > 2 * MAX_METHODS) return link.violation()
      routes.set(route, names)
      tell(route, lines)
    },
  }
}
