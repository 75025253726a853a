import type { PeerLimits } from '../core/bounds.ts'
import type { CallOptions, ItemStream } from '../core/call.ts'
import type { Clock } from '../core/clock.ts'
import { errorFrom } from '../core/errorValue.ts'
import { checkMethod, LANES, type Method, untyped } from '../core/method.ts'
import * as FLAG from '../wire/flag.ts'
import * as KIND from '../wire/kind.ts'
import { CALL_TIMEOUT_MS, FRAGMENT_BYTES, MIN_WINDOW_BYTES, WINDOW_BYTES } from '../wire/limits.ts'
import { FATE, type ReasonName, reasonName } from '../wire/reasons.ts'
import { payloadOf } from './body.ts'
import { linkError } from './errors.ts'
import { type Exchange, type Exchanges, SLOTS } from './exchanges.ts'
import { type Items, itemsFor } from './items.ts'
import type { Link } from './link.ts'
import { flowOf } from './outbox.ts'

/** The method of this name, as nobody declared it; one that was declared as it is. @throws ViaductError BAD_METHOD */
export function methodOf(given: string | Method): Method {
  const method = typeof given === 'string' ? untyped(given) : given
  checkMethod(method)
  return method
}

/** Makes calls: writes them, and carries out what their answers mean. */
export function callsOver(link: Link, exchanges: Exchanges, clock: Clock, limits: PeerLimits) {
  /** Numbers of methods on the one route that leads to the far end. */
  const methods = new Map<string, number>()
  const freed: number[] = []
  let slots = 0

  /** An id that no call has. @throws ViaductError TOO_MANY_CALLS when every slot is taken. */
  const take = (name: string): number => {
    const id = freed.pop() ?? (slots < limits.exchanges ? slots++ : undefined)
    if (id === undefined) throw linkError('TOO_MANY_CALLS', name, 'not-sent')
    // 0 means none.
    return id || SLOTS
  }

  /** The slot may be used again, with the next generation: below 2^30, a small integer in every engine. */
  const giveBack = (id: number): void => {
    freed.push((id + SLOTS) & 0x3fff_ffff)
  }

  /** The method's number on the wire; its first use says what it stands for. */
  const indexOf = (method: Method): number => {
    const { name, fingerprint } = method
    const key = `${fingerprint} ${name}`
    let index = methods.get(key)
    if (index === undefined) {
      index = methods.size
      methods.set(key, index)
      link.control({ kind: KIND.OPEN, ...payloadOf({ methods: [[index, name, fingerprint]] }) })
    }
    return index
  }

  /** Begins a call. @throws ViaductError when it cannot be begun, and then it was not sent. */
  const begin = (
    given: string | Method,
    input: unknown,
    options: CallOptions,
    resolve: (output: unknown) => void,
    reject: (error: unknown) => void,
    items?: Items,
  ) => {
    const {
      signal,
      upload,
      onProgress,
      timeoutMs = CALL_TIMEOUT_MS,
      totalTimeoutMs = Infinity,
      idleTimeoutMs = 0,
    } = options
    const method = methodOf(given)
    const refusal =
      (link.closed() && 'LINK_LOST') ||
      (link.draining() && 'DRAINING') ||
      (exchanges.full() && 'QUEUE_FULL') ||
      (timeoutMs < 0 && 'DEADLINE_EXCEEDED') ||
      (signal?.aborted && 'CANCELLED')
    if (refusal) throw linkError(refusal, method.name, 'not-sent', signal?.reason)
    const now = clock.now()
    const totalAt = now + totalTimeoutMs
    const deadline = Math.min(totalAt, now + (timeoutMs || Infinity))
    const window = items ? Math.max(MIN_WINDOW_BYTES, options.windowBytes ?? WINDOW_BYTES) : 0
    const flags = upload ? FLAG.UPLOAD : 0
    const fields = { kind: KIND.CALL, method: indexOf(method), flags, deadline, window }
    const message = exchanges.made(method, fields, input, options)
    const id = take(method.name)
    const flow = flowOf(LANES[options.lane ?? method.lane], MIN_WINDOW_BYTES)
    const idleMs = idleTimeoutMs > 0 ? idleTimeoutMs : Infinity
    let settled = false
    let stop: (() => void) | undefined

    const abort = (reason: ReasonName, error?: unknown): void => {
      if (settled) return
      settle()
      if (exchanges.at(id, FLAG.ANSWER)) {
        if (link.outbox.clear(flow)) free()
        else link.control({ kind: KIND.CANCEL, id })
      }
      reject(error ?? linkError(reason, method.name, link.fate(flow), signal?.reason))
    }
    const cancelled = (): void => abort('CANCELLED')
    /** Nobody waits for it any more; its id stays taken until the callee has ended as well. */
    const settle = (): void => {
      settled = true
      signal?.removeEventListener('abort', cancelled)
      stop?.()
    }
    const free = (): void => {
      if (exchanges.end(id, FLAG.ANSWER)) giveBack(id)
    }
    const exchange: Exchange = {
      id,
      method,
      flow,
      items,
      deadline,
      idleMs,
      idleAt: Infinity,
      abort,
      receive(message) {
        const { kind } = message
        const read = (): unknown => exchanges.read(method, message)
        // No function was sent that could be called, kept or released.
        if (kind > KIND.PROGRESS || (kind === KIND.END && message.window > 0)) return link.violation()
        if (kind === KIND.END || kind === KIND.ERROR) free()
        if (settled) return
        exchanges.alive(exchange)
        try {
          if (kind === KIND.PROGRESS) onProgress?.(read())
          else if (kind === KIND.END) {
            resolve(read())
            settle()
          } else if (kind === KIND.ERROR) {
            throw message.payload.length > 0
              ? errorFrom(read(), method.name)
              : linkError(
                  reasonName(message.route),
                  method.name,
                  message.window === FATE['not-sent'] ? 'not-sent' : 'unknown',
                  undefined,
                  message.timeLeft || undefined,
                )
          } else if (items) {
            // It has opened: from here on its total bound alone holds.
            exchange.deadline = totalAt
            items.push(read(), message.cost)
          } else abort('SKEW')
        } catch (error) {
          // Progress is advice: what cannot be read, or a listener that throws, ends no call.
          if (kind !== KIND.PROGRESS) abort('CANCELLED', error)
        }
      },
    }
    if (items) items.onidle = () => exchanges.alive(exchange)
    // Known before it leaves: a transport may answer, or end, while it is sent to.
    exchanges.add(exchange, FLAG.ANSWER)
    signal?.addEventListener('abort', cancelled)
    link.outbox.write(flow, { ...message, id })
    // Saying what its method is may have been the end of the link.
    if (link.closed()) abort('LINK_LOST')
    if (upload && !settled) {
      const failed = (error: unknown): void => abort('CANCELLED', error)
      stop = exchanges.send(
        exchange,
        0,
        upload,
        () => link.outbox.write(flow, { kind: KIND.END, id }),
        failed,
      )
    }
    return exchange
  }

  return {
    /** See `PagePeer`, as of the next two. */
    call: (method: string | Method, input?: unknown, options: CallOptions = {}) =>
      new Promise<unknown>((resolve, reject) => void begin(method, input, options, resolve, reject)),
    stream(method: string | Method, input?: unknown, options: CallOptions = {}): ItemStream {
      let call: Exchange | undefined
      const cancel = (reason?: unknown): void => call?.abort('CANCELLED', reason)
      const items = itemsFor((window) => {
        if (call) link.control({ kind: KIND.CREDIT, id: call.id, window })
      }, cancel)
      const output = new Promise<unknown>((resolve, reject) => {
        call = begin(method, input, options, resolve, reject, items)
      })
      output.then(() => items.end(), items.end)
      return { output, cancel, [Symbol.asyncIterator]: () => items }
    },
    notify(given: string | Method, input?: unknown): boolean {
      if (link.closed() || exchanges.full()) return false
      const method = methodOf(given)
      const flow = flowOf(LANES[method.lane])
      const message = exchanges.made(
        method,
        { kind: KIND.CALL, method: indexOf(method), flags: FLAG.ONE_WAY },
        input,
      )
      // One that is cut borrows an id until its last fragment has left.
      const id = message.payload.length > FRAGMENT_BYTES ? take(method.name) : 0
      if (id) flow.onidle = () => giveBack(id)
      link.outbox.write(flow, { ...message, id })
      return true
    },
  }
}
