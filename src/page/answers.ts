import type { CallContext, Handler, PeerInfo, Serving } from '../core/call.ts'
import { marksOf } from '../core/callHead.ts'
import type { Clock } from '../core/clock.ts'
import { sendError } from '../core/errorValue.ts'
import { isIterable } from '../core/guards.ts'
import { Items } from '../core/items.ts'
import { checkMethod, type Method } from '../core/method.ts'
import { named } from '../core/named.ts'
import { pump } from '../core/pump.ts'
import { alreadyServed, openLines, ROUTE_LINES } from '../core/served.ts'
import { serving } from '../core/serving.ts'
import { whenSettled } from '../core/settled.ts'
import type { Sweep } from '../core/sweep.ts'
import type { BodyLimits } from '../wire/body.ts'
import { CODES, type Fate, ViaductError } from '../wire/errors.ts'
import * as FLAG from '../wire/flag.ts'
import { referencesOf } from '../wire/head.ts'
import * as KIND from '../wire/kind.ts'
import { MAX_METHODS, MAX_ROUTES, MIN_WINDOW_BYTES, WINDOW_BYTES } from '../wire/limits.ts'
import { FATE, isReasonName, REASONS, type ReasonName } from '../wire/reasons.ts'
import { linkBodyOf, payloadOf, readValue } from './body.ts'
import { linkError } from './errors.ts'
import type { Link, Received } from './link.ts'
import { type Flow, flowOf } from './outbox.ts'
import type { Speaker } from './speaker.ts'

/** A method that is served here. */
interface Served {
  readonly method: Method
  readonly handler: Handler
  /** Calls of it that are being answered, one-way ones too. */
  readonly running: Set<Answer>
  /** Told when none is any more. */
  readonly onidle: (() => void)[]
}

/** A call that is being answered. */
interface Answer {
  readonly id: number
  readonly flow: Flow
  readonly served: Served
  readonly deadline: number
  readonly items: Items
  /** See the exchange's table in PROTOCOL.md, section 4. */
  state: 'open' | 'asked' | 'cancelled'
  isAborted: boolean
  /** Tells the handler that nobody waits for it any more. */
  abort(reason: unknown): void
  /** Stops the items that it answers with. */
  stop?: (reason: unknown) => void
}

const SLOTS = 2 ** 20

/**
 * Answers calls: runs handlers, and writes what they give.
 *
 * @param far who calls.
 * @param onEnded called whenever an exchange has ended.
 */
export function answersOver(
  link: Link,
  { full, itemFlow, say }: Speaker,
  clock: Clock,
  sweep: Sweep,
  {
    debug,
    far,
    limits,
  }: {
    readonly debug: boolean
    readonly far: PeerInfo
    readonly limits: BodyLimits & { readonly exchanges: number; readonly messageBytes: number }
  },
  onEnded: () => void,
) {
  const { outbox, control } = link
  const byName = new Map<string, Served>()
  /** Names of methods, by route and index, as the caller has numbered them. */
  const routes = new Map<number, string[]>([[0, []]])
  /** Calls that are being answered, by slot; undefined while one is not here whole. */
  const answers = new Map<number, { readonly id: number; answer?: Answer }>()
  let defined = 0
  let draining = false

  const lineOf = (index: number, name: string): unknown[] => {
    const served = byName.get(name)
    const status = served ? 0 : REASONS.METHOD_NOT_FOUND.number
    // The fingerprints are never the same: bodies describe themselves here.
    const line = [index, status, false, limits.messageBytes]
    return served?.method.idempotent ? [...line, true] : line
  }

  /** Says of methods on a route what has become of them, in frames that hold so many each. */
  const tell = (route: number, lines: readonly (readonly unknown[])[]): void => {
    for (let at = 0; at < lines.length; at += ROUTE_LINES) {
      const methods = lines.slice(at, at + ROUTE_LINES)
      control({ kind: KIND.ROUTE, route, ...payloadOf({ methods }) })
    }
  }

  const refresh = (changed: string): void => {
    for (const [route, names] of routes) {
      tell(
        route,
        names.flatMap((name, index) => (name === changed ? [lineOf(index, name)] : [])),
      )
    }
  }

  const open = (message: Received): void => {
    const { route } = message
    const lines = openLines(linkBodyOf(message)?.methods, MAX_METHODS)
    const names = routes.get(route) ?? []
    for (const [index, name] of lines ?? []) {
      if (names[index] === undefined) defined++
      names[index] = name
    }
    if (!lines || route >= MAX_ROUTES || defined > 2 * MAX_METHODS) return link.violation()
    routes.set(route, names)
    tell(
      route,
      lines.map(([index, name]) => lineOf(index, name)),
    )
  }

  const at = (id: number): Answer | undefined => {
    const entry = answers.get(id % SLOTS)
    return entry?.id === id ? entry.answer : undefined
  }

  /** Takes a slot. @returns false when it is taken or out of bounds. */
  const begin = (id: number): boolean => {
    const slot = id % SLOTS
    if (slot >= limits.exchanges || answers.has(slot)) return false
    answers.set(slot, { id })
    return true
  }

  const ended = (id: number): void => {
    link.forget(id, 0)
    if (answers.get(id % SLOTS)?.id === id) answers.delete(id % SLOTS)
    onEnded()
  }

  /** Says without a body why a call has no other answer. */
  const bareError = (id: number, reason: ReasonName, fate: Fate): void => {
    const { code, number } = REASONS[reason]
    control({
      kind: KIND.ERROR,
      method: CODES[code],
      id,
      route: number,
      window: FATE[fate],
      flags: FLAG.ANSWER,
    })
  }

  /** Answers a call whose handler did not run. */
  const bare = (id: number, reason: ReasonName): void => {
    bareError(id, reason, 'not-sent')
    ended(id)
  }

  const left = (answer: Answer): void => {
    const { id, items, served } = answer
    items.end()
    if (at(id) === answer) ended(id)
    served.running.delete(answer)
    if (served.running.size === 0) for (const idle of served.onidle.splice(0)) idle()
  }

  const fail = (answer: Answer, thrown: unknown): void => {
    const { flow, id } = answer
    if (at(id) !== answer) return
    try {
      sendError(thrown, debug, (value) => {
        const route = isReasonName(value.reason) ? REASONS[value.reason].number : 0
        say(flow, { kind: KIND.ERROR, id, method: CODES[value.code], route, flags: FLAG.ANSWER }, value)
      })
      left(answer)
    } catch {
      // Not even that is taken: without a body it says what was too large.
      left(answer)
      bareError(id, 'MESSAGE_TOO_LARGE', 'unknown')
    }
  }

  const end = (answer: Answer, output: unknown): void => {
    const { flow, id, served } = answer
    if (at(id) !== answer) return
    try {
      say(flow, { kind: KIND.END, id, flags: FLAG.ANSWER }, output)
    } catch (error) {
      return fail(answer, named(error, served.method, 'output', true))
    }
    left(answer)
  }

  /** The handler has given its answer: one value, or items. */
  const answered = (answer: Answer, output: unknown): void => {
    const { flow, id, isAborted, served } = answer
    const { kind, name } = served.method
    if (at(id) !== answer) return
    try {
      if (kind === 'call' || !isIterable(output)) return end(answer, output)
      if (isAborted) return fail(answer, linkError('CANCELLED', name, 'unknown'))
      const stop = pump(output, {
        ...itemFlow(flow, { kind: KIND.ITEM, id, flags: FLAG.ANSWER }, (error) =>
          named(error, served.method, 'item', true),
        ),
        done: (value) => end(answer, value),
        failed: (error) => fail(answer, error),
      })
      answer.stop = (reason) => {
        stop()
        outbox.clear(flow)
        fail(answer, reason)
      }
    } catch (error) {
      fail(answer, error)
    }
  }

  const call = (message: Received): void => {
    const { flags, id, payload, timeLeft, window, headBytes } = message
    const isOneWay = (flags & FLAG.ONE_WAY) !== 0
    if (!isOneWay && !message.wasCut && !begin(id)) return link.violation()
    const name = routes.get(message.route)?.[message.method]
    const served = byName.get(name ?? '')
    const refuse = (reason: ReasonName): void => {
      if (!isOneWay) bare(id, reason)
    }
    if (name === undefined) return refuse('ROUTE_UNKNOWN')
    if (!served) return refuse('METHOD_NOT_FOUND')
    if (draining) return refuse('DRAINING')
    // It takes our fingerprint for its own, although we said that they differ.
    if ((flags & FLAG.DICTIONARY) !== 0) return refuse('SKEW')
    const { method, handler } = served
    const flow = flowOf(flags & FLAG.LANE, window)
    const head = payload.slice(0, headBytes)
    const deadline = timeLeft > 0 ? clock.now() + timeLeft : Infinity
    let controller: AbortController | undefined
    let reason: unknown
    const hasUpload = !isOneWay && (flags & FLAG.UPLOAD) !== 0
    const items = new Items(
      (bytes) => control({ kind: KIND.CREDIT, id, window: bytes, flags: FLAG.ANSWER }),
      () => {},
    )
    const answer: Answer = {
      id,
      flow,
      served,
      deadline,
      items,
      state: hasUpload ? 'open' : 'asked',
      isAborted: false,
      abort(given) {
        if (answer.isAborted) return
        answer.isAborted = true
        reason = given
        items.fail(given)
        controller?.abort(given)
        answer.stop?.(given)
      },
    }
    const context: CallContext = {
      peer: far,
      deadline,
      upload: items,
      ...marksOf(head),
      get signal() {
        controller ??= new AbortController()
        if (answer.isAborted && !controller.signal.aborted) controller.abort(reason)
        return controller.signal
      },
      get timeLeftMs() {
        return deadline - clock.now()
      },
      progress(value) {
        // Advice: a handler that reports faster than the link carries fills no queue with it.
        if (answer.isAborted || at(id) !== answer || full()) return
        say(flow, { kind: KIND.PROGRESS, id, flags: FLAG.ANSWER }, value)
      },
    }
    if (!isOneWay) {
      answers.set(id % SLOTS, { id, answer })
      sweep.expect(deadline)
    }
    let input: unknown
    try {
      if (referencesOf(head) > 0)
        throw new ViaductError('UNIMPLEMENTED', 'functions are not taken by a page’s peer')
      input = readValue(message, limits)
    } catch (error) {
      return fail(answer, named(error, method, 'input'))
    }
    if (hasUpload) {
      // The caller began with the least window; from here on it has the usual one.
      control({ kind: KIND.CREDIT, id, window: WINDOW_BYTES - MIN_WINDOW_BYTES, flags: FLAG.ANSWER })
    } else {
      items.end()
    }
    served.running.add(answer)
    try {
      whenSettled(
        handler(input, context),
        (output) => (isOneWay ? left(answer) : answered(answer, output)),
        (error) => (isOneWay ? left(answer) : fail(answer, error)),
      )
    } catch (error) {
      if (isOneWay) left(answer)
      else fail(answer, error)
    }
  }

  const withdraw = async (served: Served, graceMs: number, closed: Promise<unknown>): Promise<void> => {
    const { method, running } = served
    if (byName.get(method.name) === served) {
      byName.delete(method.name)
      refresh(method.name)
    }
    if (running.size === 0) return
    await new Promise<unknown>((resolve) => {
      served.onidle.push(() => resolve(undefined))
      void closed.then(resolve)
      if (graceMs === Infinity) return
      const cancel = clock.after(graceMs, () => {
        for (const answer of running) {
          const error = linkError('WITHDRAWN', method.name, 'unknown')
          answer.abort(error)
          fail(answer, error)
        }
        resolve(undefined)
      })
      served.onidle.push(cancel)
      void closed.then(cancel)
    })
  }

  return {
    open: () => answers.size,
    isOpen: (id: number): boolean => at(id) !== undefined,
    /** Takes no further calls. */
    drain() {
      draining = true
    },
    begin,
    bare,
    /** Grants a part of an unfinished item as it comes. */
    part(id: number, bytes: number) {
      at(id)?.items.oweUnfinished(bytes)
    },
    /** An uploaded item is over the limit: the handler is told. */
    tooLarge(id: number) {
      at(id)?.abort(linkError('MESSAGE_TOO_LARGE', 'an uploaded item', 'unknown'))
    },
    /** @throws ViaductError ALREADY_EXISTS when the name is served here; INVALID_ARGUMENT / BAD_METHOD. */
    handle(method: Method, handler: Handler, closed: Promise<unknown>): Serving {
      checkMethod(method)
      const { name } = method
      if (byName.has(name)) {
        throw alreadyServed(name)
      }
      const served: Served = { method, handler, running: new Set(), onidle: [] }
      byName.set(name, served)
      refresh(name)
      return serving((graceMs) => withdraw(served, graceMs, closed))
    },
    /** OPEN, DROP, CALL, or ITEM, END, CREDIT or CANCEL of a caller. */
    receive(message: Received) {
      const { id, kind, route, window } = message
      if (kind === KIND.CALL) return call(message)
      if (kind === KIND.OPEN) return open(message)
      if (kind === KIND.DROP) {
        defined -= Object.keys(routes.get(route) ?? []).length
        routes.delete(route)
        return
      }
      if (kind === KIND.ERROR || kind === KIND.PROGRESS) return
      if (kind === KIND.CANCEL && link.forget(id, 0) && !at(id)) {
        if (answers.get(id % SLOTS)?.id === id) bare(id, 'CANCELLED')
        return
      }
      const answer = at(id)
      if (!answer || answer.state === 'cancelled') return
      if (kind === KIND.CANCEL) {
        answer.state = 'cancelled'
        answer.abort(linkError('CANCELLED', answer.served.method.name, 'unknown'))
      } else if (kind === KIND.CREDIT) {
        outbox.grant(answer.flow, window)
      } else if (answer.state === 'asked') {
        link.violation()
      } else if (kind === KIND.END) {
        answer.state = 'asked'
        answer.items.end()
      } else {
        try {
          answer.items.push(readValue(message, limits), message.cost)
        } catch (error) {
          answer.items.fail(named(error, answer.served.method, 'upload'))
        }
      }
    },
    /** Aborts handlers whose time is up; returns the earliest deadline left. */
    sweep(now: number): number {
      let earliest = Infinity
      for (const { answer } of answers.values()) {
        if (!answer || answer.isAborted) continue
        if (answer.deadline > now) earliest = Math.min(earliest, answer.deadline)
        else if (answer.served.method.kind === 'call') {
          answer.abort(linkError('DEADLINE_EXCEEDED', answer.served.method.name, 'unknown'))
        }
      }
      return earliest
    },
    /** The link has ended: handlers are told. */
    fail(reason: string) {
      for (const { answer } of answers.values())
        answer?.abort(linkError('LINK_LOST', `the caller’s link (${reason})`, 'unknown'))
      answers.clear()
    },
  }
}
