import type { PeerLimits } from '../core/bounds.ts'
import type { CallContext, Handler, PeerInfo, Serving } from '../core/call.ts'
import type { Clock } from '../core/clock.ts'
import { sendError } from '../core/errorValue.ts'
import { isIterable } from '../core/guards.ts'
import { checkMethod, type Method } from '../core/method.ts'
import { alreadyServed, openLines, ROUTE_LINES } from '../core/served.ts'
import { serving } from '../core/serving.ts'
import { whenSettled } from '../core/settled.ts'
import { CODES, type Fate, ViaductError } from '../wire/errors.ts'
import * as FLAG from '../wire/flag.ts'
import { referencesOf } from '../wire/head.ts'
import * as KIND from '../wire/kind.ts'
import { MAX_METHODS, MAX_ROUTES, MIN_WINDOW_BYTES, WINDOW_BYTES } from '../wire/limits.ts'
import { FATE, isReasonName, REASONS, type ReasonName } from '../wire/reasons.ts'
import { linkBodyOf, payloadOf, readValue } from './body.ts'
import { linkError, within } from './errors.ts'
import type { Exchange, Exchanges } from './exchanges.ts'
import { itemsFor } from './items.ts'
import type { Link, Received } from './link.ts'
import type { Marks } from './marks.ts'
import { flowOf } from './outbox.ts'

/** A method that is served here. */
interface Served {
  readonly method: Method
  readonly handler: Handler
  /** Calls of it that are being answered, one-way ones too. */
  readonly running: Set<Exchange>
}

/** Of all callers that send none. */
const NO_ITEMS = itemsFor(
  () => {},
  () => {},
)
NO_ITEMS.end()

/** Answers calls: runs handlers, and writes what they give. */
export function answersOver(
  link: Link,
  { add, at, begin, changed, end, full, say, send, until }: Exchanges,
  clock: Clock,
  debug: boolean,
  /** Who calls. */
  far: PeerInfo,
  limits: PeerLimits,
  marks: Marks,
) {
  const { outbox, control } = link
  const byName = new Map<string, Served>()
  /** Names of methods, by route and index, as the caller has numbered them. */
  const routes = new Map<number, string[]>([[0, []]])
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
      const line = [index, served ? 0 : REASONS.METHOD_NOT_FOUND.number, false, limits.messageBytes]
      return served?.method.idempotent ? [...line, true] : line
    })
    while (lines.length > 0) {
      control({ kind: KIND.ROUTE, route, ...payloadOf({ methods: lines.splice(0, ROUTE_LINES) }) })
    }
  }

  const refresh = (served: string): void => {
    for (const [route, names] of routes) {
      tell(
        route,
        [...names.entries()].filter(([, name]) => name === served),
      )
    }
  }

  /** Says without a body why a call has no other answer. */
  const bare = (id: number, reason: ReasonName, fate: Fate = 'not-sent'): void => {
    const { code, number } = REASONS[reason]
    control({
      kind: KIND.ERROR,
      method: CODES[code],
      id,
      route: number,
      window: FATE[fate],
      flags: FLAG.ANSWER,
    })
    changed()
  }

  const call = (message: Received): void => {
    const { flags, id, payload, timeLeft, window } = message
    const isOneWay = (flags & FLAG.ONE_WAY) !== 0
    if (!isOneWay && message.filled === 0 && !begin(id)) return link.violation()
    const name = routes.get(message.route)?.[message.method]
    const served = byName.get(name ?? '')
    const refused =
      (name === undefined && 'ROUTE_UNKNOWN') ||
      (!served && 'METHOD_NOT_FOUND') ||
      (draining && 'DRAINING') ||
      // It does not read what it has asked for.
      (!isOneWay && outbox.held() > limits.queueBytes && 'QUEUE_FULL') ||
      // It takes our fingerprint for its own, although we said that they differ.
      (flags & FLAG.DICTIONARY && 'SKEW')
    if (!served || refused) {
      if (isOneWay) return
      end(id, 0)
      return bare(id, refused || 'METHOD_NOT_FOUND')
    }
    const { method, handler, running } = served
    const flow = flowOf(flags & FLAG.LANE, window)
    const head = payload.slice(0, message.headBytes)
    const deadline = timeLeft > 0 ? clock.now() + timeLeft : Infinity
    const hasUpload = !isOneWay && (flags & FLAG.UPLOAD) !== 0
    const grant = (bytes: number): void =>
      control({ kind: KIND.CREDIT, id, window: bytes, flags: FLAG.ANSWER })
    const items = hasUpload ? itemsFor(grant, () => {}) : NO_ITEMS
    /** Whether the caller may still send items; nothing of it counts any more once it has cancelled. */
    let asks: 'open' | 'asked' | 'cancelled' = hasUpload ? 'open' : 'asked'
    let controller: AbortController | undefined
    let aborted: ViaductError | undefined
    let stop: (() => void) | undefined

    const isOpen = (): boolean => at(id, 0) === exchange
    const left = (): void => {
      items.end()
      running.delete(exchange)
      if (isOpen()) {
        link.forget(id, 0)
        end(id, 0)
      }
      changed()
    }
    const fail = (thrown: unknown): void => {
      try {
        if (isOpen()) {
          sendError(thrown, debug, (value) => {
            const route = isReasonName(value.reason) ? REASONS[value.reason].number : 0
            say(flow, { kind: KIND.ERROR, id, method: CODES[value.code], route, flags: FLAG.ANSWER }, value)
          })
        }
      } catch {
        // Not even that is taken: without a body it says what was too large.
        bare(id, 'MESSAGE_TOO_LARGE', 'unknown')
      }
      left()
    }
    const orFail = (step: () => void): void => {
      try {
        step()
      } catch (error) {
        fail(error)
      }
    }
    const done = (output: unknown): void =>
      orFail(() => {
        const message = { kind: KIND.END, id, flags: FLAG.ANSWER }
        if (isOpen()) within(method, 'output', () => say(flow, message, output), true)
        left()
      })
    const answered = (output: unknown): void =>
      orFail(() => {
        if (method.kind === 'call' || !isOpen() || !isIterable(output)) done(output)
        else if (aborted) fail(aborted)
        else stop = send(exchange, FLAG.ANSWER, output, done, fail)
      })
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
          items.end({ error: aborted })
          controller?.abort(aborted)
          stop?.()
          if (stop) outbox.clear(flow)
        }
        // Its caller is told, whatever a handler does that was aborted before.
        if (stop || reason === 'WITHDRAWN') fail(aborted)
      },
      receive(message) {
        const { kind } = message
        if (asks === 'cancelled' || kind === KIND.ERROR || kind === KIND.PROGRESS) return
        if (kind === KIND.CANCEL) {
          asks = 'cancelled'
          link.forget(id, 0)
          exchange.abort('CANCELLED')
        } else if (asks === 'asked') {
          link.violation()
        } else if (kind === KIND.END) {
          asks = 'asked'
          items.end()
        } else {
          try {
            items.push(
              within(method, 'upload', () => readValue(message, limits)),
              message.cost,
            )
          } catch (error) {
            items.end({ error })
          }
        }
      },
    }
    const context: CallContext = {
      peer: far,
      deadline,
      upload: items,
      ...marks.read(head),
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
        if (aborted || !isOpen() || full()) return
        within(method, 'progress', () => say(flow, { kind: KIND.PROGRESS, id, flags: FLAG.ANSWER }, value))
      },
    }
    const run = (): unknown => {
      const input = within(method, 'input', () => {
        if (referencesOf(head) > 0)
          throw new ViaductError('UNIMPLEMENTED', 'functions are not taken by a page’s peer')
        return readValue(message, limits)
      })
      // The caller began with the least window; from here on it has the usual one.
      if (hasUpload) grant(WINDOW_BYTES - MIN_WINDOW_BYTES)
      return handler(input, context)
    }

    running.add(exchange)
    if (!isOneWay) add(exchange, 0)
    orFail(() => whenSettled(run(), answered, fail))
  }

  return {
    bare,
    call,
    /** Takes no further calls. */
    drain() {
      draining = true
    },
    /** @throws ViaductError ALREADY_EXISTS when the name is served here; INVALID_ARGUMENT / BAD_METHOD. */
    handle(method: Method, handler: Handler): Serving {
      checkMethod(method)
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
        await until(() => running.size === 0, graceMs)
        if (!link.closed()) for (const exchange of running) exchange.abort('WITHDRAWN')
      })
    },
    /** OPEN or DROP of a caller. */
    route(message: Received) {
      const { kind, route } = message
      const names = routes.get(route) ?? []
      if (kind === KIND.DROP) {
        defined -= Object.keys(names).length
        routes.delete(route)
        return
      }
      const lines = openLines(linkBodyOf(message)?.methods, MAX_METHODS)
      for (const [index, name] of lines ?? []) {
        if (names[index] === undefined) defined++
        names[index] = name
      }
      if (!lines || route >= MAX_ROUTES || defined > 2 * MAX_METHODS) return link.violation()
      routes.set(route, names)
      tell(route, lines)
    },
  }
}
