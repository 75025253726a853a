import type { Caller, CallOptions, Target } from '../core/call.ts'
import { callHead } from '../core/callHead.ts'
import type { Clock } from '../core/clock.ts'
import { errorFrom } from '../core/errorValue.ts'
import { Items } from '../core/items.ts'
import { checkMethod, LANES, type Method } from '../core/method.ts'
import { named } from '../core/named.ts'
import { pump } from '../core/pump.ts'
import { checkTarget, describeTarget, targetKey, tooManyRoutes } from '../core/route.ts'
import { ItemAnswer, notAStream } from '../core/streams.ts'
import type { Sweep } from '../core/sweep.ts'
import type { BodyLimits } from '../wire/body.ts'
import * as FLAG from '../wire/flag.ts'
import * as KIND from '../wire/kind.ts'
import {
  CALL_TIMEOUT_MS,
  FRAGMENT_BYTES,
  MAX_ROUTES,
  MIN_WINDOW_BYTES,
  WINDOW_BYTES,
} from '../wire/limits.ts'
import { FATE, type ReasonName, reasonName } from '../wire/reasons.ts'
import { payloadOf, readValue } from './body.ts'
import { linkError } from './errors.ts'
import type { Link, Received } from './link.ts'
import { type Flow, flowOf, type Message } from './outbox.ts'
import type { Speaker } from './speaker.ts'

/** A way to a target: its number on the wire, and the methods numbered on it so far. */
interface Route {
  readonly number: number
  readonly target: Target | undefined
  readonly methods: Map<string, number>
}

/** A call that this side has made. */
interface Call {
  readonly id: number
  readonly method: Method
  /** Whom it is for, in errors. */
  readonly name: string
  readonly flow: Flow
  readonly items: Items | undefined
  readonly onProgress: ((value: unknown) => void) | undefined
  /** By when it has to end, or of a stream to open; never later than `totalAt`. */
  deadline: number
  readonly totalAt: number
  /** By when something has to come. */
  idleAt: number
  readonly idleMs: number
  /** Nobody waits for it; its id is taken until the callee has ended as well. */
  settled: boolean
  /** Undoes what hangs on it. */
  release(): void
  settle(error: unknown): void
  resolve(value: unknown): void
}

const GENERATION = 2 ** 20
/** The longest time that fits into a header; beyond it the far end is told of none. */
const MAX_TIME_LEFT = 2 ** 32 - 1

/**
 * Makes calls: writes them, and carries out what their answers mean.
 *
 * @param onEnded called whenever an exchange has ended.
 */
export function callsOver(
  link: Link,
  { full, itemFlow, made }: Speaker,
  clock: Clock,
  sweep: Sweep,
  limits: BodyLimits & { readonly exchanges: number },
  onEnded: () => void,
) {
  const { outbox, control } = link
  const calls = new Map<number, Call>()
  /** By target, in the order of their routes' numbers. */
  const callers = new Map<string, Caller>()
  const freed: number[] = []
  let slots = 0
  let farDraining = false

  /** An id that no exchange has; 0 when every slot is taken. */
  const take = (): number => freed.pop() ?? (slots < limits.exchanges ? slots++ || GENERATION : 0)

  /** The slot may be used again, with the next generation. Id 0 means none. */
  const giveBack = (id: number): void => {
    freed.push((id + GENERATION) >>> 0 || GENERATION)
    onEnded()
  }

  /** The method's number on a route; its first use says what it stands for. */
  const indexOn = ({ number, target, methods }: Route, method: Method): number => {
    checkMethod(method)
    const { fingerprint, name } = method
    const key = `${fingerprint} ${name}`
    let index = methods.get(key)
    if (index === undefined) {
      index = methods.size
      methods.set(key, index)
      const body = { ...(target && { target }), methods: [[index, name, fingerprint]] }
      control({ kind: KIND.OPEN, route: number, ...payloadOf(body) })
    }
    return index
  }

  const finish = (call: Call): boolean => {
    if (call.settled) return false
    call.settled = true
    call.release()
    return true
  }

  /** Settles a call from this side. Its id stays taken until the callee has ended too, unless it had not left. */
  const abandon = (call: Call, reason: ReasonName, given?: unknown, cause?: unknown): void => {
    if (!finish(call)) return
    const isUnsent = outbox.clear(call.flow)
    if (isUnsent) free(call.id)
    else control({ kind: KIND.CANCEL, id: call.id })
    call.settle(given ?? linkError(reason, call.name, isUnsent ? 'not-sent' : 'unknown', { cause }))
  }

  const free = (id: number): void => {
    calls.delete(id)
    giveBack(id)
  }

  /** Something has come, or the reader has taken what had: the idle bound begins anew. */
  const alive = (call: Call): void => {
    if (call.idleMs <= 0) return
    call.idleAt = clock.now() + call.idleMs
    sweep.expect(call.idleAt)
  }

  const begin = (
    route: Route,
    method: Method,
    input: unknown,
    options: CallOptions,
    items: Items | undefined,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ): Call | undefined => {
    const {
      signal,
      upload,
      onProgress,
      timeoutMs = CALL_TIMEOUT_MS,
      totalTimeoutMs = Infinity,
      idleTimeoutMs = 0,
    } = options
    const settle = (error: unknown): void => {
      items?.fail(error)
      reject(error)
    }
    const { target } = route
    const name = target ? `${method.name} on ${describeTarget(target)}` : method.name
    const refuse = (reason: ReasonName): undefined => {
      settle(linkError(reason, method.name, 'not-sent', { cause: signal?.reason }))
    }
    if (link.closed() !== undefined) return refuse('LINK_LOST')
    if (farDraining) return refuse('DRAINING')
    if (full()) return refuse('QUEUE_FULL')
    if (timeoutMs < 0) return refuse('DEADLINE_EXCEEDED')
    if (signal?.aborted) return refuse('CANCELLED')
    let index: number
    try {
      index = indexOn(route, method)
    } catch (error) {
      return void settle(error)
    }
    const id = take()
    if (id === 0) return refuse('TOO_MANY_CALLS')
    const now = clock.now()
    const totalAt = now + totalTimeoutMs
    const deadline = Math.min(totalAt, timeoutMs > 0 ? now + timeoutMs : Infinity)
    const left = deadline - now
    const flow = flowOf(LANES[options.lane ?? method.lane], MIN_WINDOW_BYTES)
    const message = {
      kind: KIND.CALL,
      id,
      method: index,
      route: route.number,
      flags: upload ? FLAG.UPLOAD : 0,
      timeLeft: left <= MAX_TIME_LEFT ? Math.max(1, Math.ceil(left)) : 0,
      window: items ? Math.max(MIN_WINDOW_BYTES, options.windowBytes ?? WINDOW_BYTES) : 0,
    }
    let whole: Message
    try {
      whole = made(message, input, callHead(options))
    } catch (error) {
      giveBack(id)
      return void settle(named(error, method, 'input'))
    }
    let stop: (() => void) | undefined
    const listener = (): void => abandon(call, 'CANCELLED', undefined, signal?.reason)
    const call: Call = {
      id,
      method,
      name,
      flow,
      items,
      onProgress,
      deadline,
      totalAt,
      idleMs: idleTimeoutMs,
      idleAt: idleTimeoutMs > 0 ? now + idleTimeoutMs : Infinity,
      settled: false,
      release() {
        signal?.removeEventListener('abort', listener)
        stop?.()
      },
      settle,
      resolve,
    }
    calls.set(id, call)
    // Known before it leaves: a transport may answer, or end, while it is sent to.
    outbox.write(flow, whole)
    if (call.settled) return call
    sweep.expect(Math.min(deadline, call.idleAt))
    signal?.addEventListener('abort', listener, { once: true })
    if (items) items.onempty = () => alive(call)
    if (upload) {
      const failed = (error: unknown): void => abandon(call, 'CANCELLED', error)
      try {
        stop = pump(upload, {
          ...itemFlow(flow, { kind: KIND.ITEM, id }, (error) => named(error, method, 'upload')),
          done: () => outbox.write(flow, { kind: KIND.END, id }),
          failed,
        })
      } catch (error) {
        failed(error)
      }
    }
    return call
  }

  /** Who calls a target, the same one each time. */
  const callerOf = (target?: Target): Caller => {
    const key = targetKey(target)
    let caller = callers.get(key)
    if (!caller) {
      checkTarget(target)
      if (callers.size >= MAX_ROUTES) throw tooManyRoutes()
      caller = makeCaller({ number: callers.size, target, methods: new Map() })
      callers.set(key, caller)
    }
    return caller
  }

  const makeCaller = (route: Route): Caller => {
    return {
      target: route.target,
      call: (method: Method, input: unknown, options: CallOptions = {}): Promise<unknown> =>
        new Promise((resolve, reject) => {
          begin(route, method, input, options, undefined, resolve, reject)
        }),
      stream(method: Method, input: unknown, options: CallOptions = {}): ItemAnswer {
        let call: Call | undefined
        const cancel = (reason?: unknown): void => {
          if (call) abandon(call, 'CANCELLED', reason)
        }
        const items = new Items((window) => {
          if (call) control({ kind: KIND.CREDIT, id: call.id, window })
        }, cancel)
        const output = new Promise<unknown>((resolve, reject) => {
          call = begin(route, method, input, options, items, resolve, reject)
        })
        return new ItemAnswer(items, output, cancel)
      },
      notify(method: Method, input: unknown): boolean {
        if (link.closed() !== undefined || full()) return false
        const index = indexOn(route, method)
        const flow = flowOf(LANES[method.lane])
        const fields = { kind: KIND.CALL, method: index, route: route.number, flags: FLAG.ONE_WAY }
        const message = made(fields, input)
        // One that is cut borrows an id until its last fragment has left.
        const id = message.payload.length > FRAGMENT_BYTES ? take() : undefined
        if (id === 0) return false
        if (id !== undefined) flow.onidle = () => giveBack(id)
        outbox.write(flow, { ...message, ...(id && { id }) })
        return true
      },
    }
  }

  /** The call that an END or ERROR settles, if somebody still waits; its slot is free from here on. */
  const ended = (id: number): Call | undefined => {
    const call = calls.get(id)
    if (!call) return undefined
    const waits = finish(call)
    free(id)
    return waits ? call : undefined
  }

  const errorOf = (call: Call, message: Received): unknown => {
    const { payload, route, timeLeft, window } = message
    if (payload.length === 0) {
      const details = timeLeft > 0 ? { retryAfterMs: timeLeft } : {}
      return linkError(
        reasonName(route),
        call.name,
        window === FATE['not-sent'] ? 'not-sent' : 'unknown',
        details,
      )
    }
    try {
      return errorFrom(readValue(message, limits), call.method.name)
    } catch (error) {
      return named(error, call.method, 'error')
    }
  }

  // Its number is 0, whoever is called first.
  callerOf()

  return {
    callerOf,
    open: () => calls.size,
    isOpen: (id: number): boolean => calls.has(id),
    /** The far end takes no further calls. */
    goaway() {
      farDraining = true
    },
    /** Grants a part of an unfinished item as it comes. */
    part(id: number, bytes: number) {
      const call = calls.get(id)
      if (!call) return
      call.items?.oweUnfinished(bytes)
      alive(call)
    },
    /** An answer is over the limit: its call fails, and what follows of it is late. */
    tooLarge(id: number, kind: number) {
      const call = calls.get(id)
      if (!call) return
      abandon(call, 'MESSAGE_TOO_LARGE')
      if (kind === KIND.ITEM || !calls.has(id)) return
      link.forget(id, FLAG.ANSWER)
      free(id)
    },
    /** ITEM, END, ERROR, CREDIT or PROGRESS of a callee. */
    receive(message: Received) {
      const { id, kind, window } = message
      const open = calls.get(id)
      if (kind === KIND.END || kind === KIND.ERROR) {
        // A lease, where no function was sent.
        if (kind === KIND.END && window > 0 && open) return link.violation()
        link.forget(id, FLAG.ANSWER)
        const call = ended(id)
        if (!call) return
        if (kind === KIND.ERROR) return call.settle(errorOf(call, message))
        try {
          const output = readValue(message, limits)
          call.items?.end()
          call.resolve(output)
        } catch (error) {
          call.settle(named(error, call.method, 'output'))
        }
        return
      }
      if (!open || open.settled) return
      if (kind === KIND.CREDIT) return outbox.grant(open.flow, window)
      alive(open)
      if (kind === KIND.PROGRESS) {
        try {
          open.onProgress?.(readValue(message, limits))
        } catch {
          // Progress is advice: what cannot be read, or a listener that throws, ends no call.
        }
        return
      }
      if (!open.items) {
        return abandon(open, 'SKEW', notAStream(open.method))
      }
      // It has opened: from here on its total bound alone holds.
      open.deadline = open.totalAt
      sweep.expect(open.deadline)
      try {
        open.items.push(readValue(message, limits), message.cost)
      } catch (error) {
        abandon(open, 'CANCELLED', named(error, open.method, 'item'))
      }
    },
    /** Fails what has expired; returns the earliest deadline left. */
    sweep(now: number): number {
      let earliest = Infinity
      for (const call of calls.values()) {
        if (call.settled) continue
        // The reader is slow, not the far side: the idle bound rests until it has taken what waits.
        if (call.idleAt <= now && call.items && call.items.waiting > 0) call.idleAt = Infinity
        const due = Math.min(call.deadline, call.idleAt)
        if (due <= now) abandon(call, 'DEADLINE_EXCEEDED')
        else earliest = Math.min(earliest, due)
      }
      return earliest
    },
    /** The link has ended: every call settles. */
    fail(reason: string) {
      for (const call of [...calls.values()]) {
        const waits = finish(call)
        free(call.id)
        if (waits)
          call.settle(linkError('LINK_LOST', `${call.method.name} (${reason})`, link.fateOf(call.flow)))
      }
    },
  }
}
