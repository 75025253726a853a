import type { CallOptions, ItemStream } from '../core/call.ts'
import type { Clock } from '../core/clock.ts'
import { errorFrom } from '../core/errorValue.ts'
import { checkMethod, LANES, type Method, untyped } from '../core/method.ts'
import type { BodyLimits } from '../wire/body.ts'
import * as FLAG from '../wire/flag.ts'
import * as KIND from '../wire/kind.ts'
import { CALL_TIMEOUT_MS, FRAGMENT_BYTES, MIN_WINDOW_BYTES, WINDOW_BYTES } from '../wire/limits.ts'
import { FATE, type ReasonName, reasonName } from '../wire/reasons.ts'
import { payloadOf, readValue } from './body.ts'
import { linkError, within } from './errors.ts'
import { type Exchange, type Exchanges, nextId, SLOTS } from './exchanges.ts'
import { type Items, itemsFor } from './items.ts'
import type { Link } from './link.ts'
import type { Marks } from './marks.ts'
import { flowOf } from './outbox.ts'

/** The method of this name, as nobody declared it; one that was declared as it is. */
export function methodOf(method: string | Method): Method {
  return typeof method === 'string' ? untyped(method) : method
}

/** Makes calls: writes them, and carries out what their answers mean. */
export function callsOver(
  link: Link,
  { add, alive, changed, end, full, made, send }: Exchanges,
  clock: Clock,
  limits: BodyLimits & { readonly exchanges: number },
  marks: Marks,
) {
  const { outbox, control } = link
  /** Numbers of methods on the one route that leads to the far end. */
  const methods = new Map<string, number>()
  const freed: number[] = []
  let slots = 0

  /** An id that no call has. @throws ViaductError TOO_MANY_CALLS when every slot is taken. */
  const take = (name: string): number => {
    const id = freed.pop() ?? (slots < limits.exchanges ? slots++ || SLOTS : 0)
    if (id === 0) throw linkError('TOO_MANY_CALLS', name, 'not-sent')
    return id
  }

  /** The slot may be used again, with the next generation. */
  const giveBack = (id: number): void => {
    freed.push(nextId(id))
    changed()
  }

  /** The method's number on the wire; its first use says what it stands for. */
  const indexOf = (method: Method): number => {
    checkMethod(method)
    const { fingerprint, name } = method
    const key = `${fingerprint} ${name}`
    let index = methods.get(key)
    if (index === undefined) {
      index = methods.size
      methods.set(key, index)
      control({ kind: KIND.OPEN, ...payloadOf({ methods: [[index, name, fingerprint]] }) })
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
    const { name } = method
    const refusal =
      (link.closed() && 'LINK_LOST') ||
      (link.farDraining() && 'DRAINING') ||
      (full() && 'QUEUE_FULL') ||
      (timeoutMs < 0 && 'DEADLINE_EXCEEDED') ||
      (signal?.aborted && 'CANCELLED')
    if (refusal) throw linkError(refusal, name, 'not-sent', { cause: signal?.reason })
    const index = indexOf(method)
    const now = clock.now()
    const totalAt = now + totalTimeoutMs
    const deadline = Math.min(totalAt, now + (timeoutMs || Infinity))
    const fields = {
      kind: KIND.CALL,
      method: index,
      flags: upload ? FLAG.UPLOAD : 0,
      deadline,
      window: items ? Math.max(MIN_WINDOW_BYTES, options.windowBytes ?? WINDOW_BYTES) : 0,
    }
    const message = within(method, 'input', () => made(fields, input, marks.write(options)))
    const id = take(name)

    const flow = flowOf(LANES[options.lane ?? method.lane], MIN_WINDOW_BYTES)
    const idleMs = idleTimeoutMs > 0 ? idleTimeoutMs : Infinity
    const abort = (reason: ReasonName, error?: unknown, cause?: unknown): void => {
      if (!settle()) return
      if (outbox.clear(flow)) free()
      else control({ kind: KIND.CANCEL, id })
      reject(error ?? linkError(reason, name, link.fateOf(flow), { cause }))
    }
    const cancelled = (): void => abort('CANCELLED', undefined, signal?.reason)
    const failed = (error: unknown): void => abort('CANCELLED', error)
    let settled = false
    let stop: (() => void) | undefined
    /** Nobody waits for it any more; its id stays taken until the callee has ended as well. */
    const settle = (): boolean => {
      if (settled) return false
      settled = true
      signal?.removeEventListener('abort', cancelled)
      stop?.()
      return true
    }
    const free = (): void => {
      if (end(id, FLAG.ANSWER)) giveBack(id)
    }
    const exchange: Exchange = {
      id,
      method,
      flow,
      items,
      deadline,
      idleMs,
      idleAt: now + idleMs,
      abort,
      receive(message) {
        const { kind, payload, route, timeLeft, window } = message
        const value = (part: string): unknown => within(method, part, () => readValue(message, limits))
        if (kind === KIND.END || kind === KIND.ERROR) {
          // A lease, where no function was sent.
          if (kind === KIND.END && window > 0) return link.violation()
          link.forget(id, FLAG.ANSWER)
          free()
          if (!settle()) return
          try {
            if (kind === KIND.END) return resolve(value('output'))
            if (payload.length > 0) throw errorFrom(value('error'), method.name)
            throw linkError(reasonName(route), name, window === FATE['not-sent'] ? 'not-sent' : 'unknown', {
              ...(timeLeft > 0 && { retryAfterMs: timeLeft }),
            })
          } catch (error) {
            return reject(error)
          }
        }
        if (settled) return
        alive(exchange)
        try {
          if (kind === KIND.PROGRESS) return onProgress?.(value('progress'))
          if (!items) return abort('SKEW')
          // It has opened: from here on its total bound alone holds.
          exchange.deadline = totalAt
          items.push(value('item'), message.cost)
        } catch (error) {
          // Progress is advice: what cannot be read, or a listener that throws, ends no call.
          if (kind !== KIND.PROGRESS) failed(error)
        }
      },
    }
    if (items) items.onempty = () => alive(exchange)
    // Known before it leaves: a transport may answer, or end, while it is sent to.
    add(exchange, FLAG.ANSWER)
    signal?.addEventListener('abort', cancelled, { once: true })
    outbox.write(flow, { ...message, id })
    // Saying what its method is may have been the end of the link.
    if (link.closed()) abort('LINK_LOST')
    if (upload && !settled) {
      stop = send(exchange, 0, upload, () => outbox.write(flow, { kind: KIND.END, id }), failed)
    }
    return { id, failed }
  }

  return {
    /** See `PagePeer`, as of the next two. */
    call: (method: string | Method, input?: unknown, options: CallOptions = {}) =>
      new Promise<unknown>((resolve, reject) => void begin(method, input, options, resolve, reject)),
    stream(method: string | Method, input?: unknown, options: CallOptions = {}): ItemStream {
      let call: ReturnType<typeof begin> | undefined
      const cancel = (reason?: unknown): void => call?.failed(reason)
      const items = itemsFor((window) => {
        if (call) control({ kind: KIND.CREDIT, id: call.id, window })
      }, cancel)
      const output = new Promise<unknown>((resolve, reject) => {
        call = begin(method, input, options, resolve, reject, items)
      })
      output.then(
        () => items.end(),
        (error) => items.end({ error }),
      )
      return { output, cancel, [Symbol.asyncIterator]: () => items }
    },
    notify(given: string | Method, input?: unknown): boolean {
      if (link.closed() !== undefined || full()) return false
      const method = methodOf(given)
      const flow = flowOf(LANES[method.lane])
      const index = indexOf(method)
      const message = made({ kind: KIND.CALL, method: index, flags: FLAG.ONE_WAY }, input)
      // One that is cut borrows an id until its last fragment has left.
      const id = message.payload.length > FRAGMENT_BYTES ? take(method.name) : 0
      if (id) flow.onidle = () => giveBack(id)
      outbox.write(flow, { ...message, id })
      return true
    },
  }
}
