import * as FLAG from '../wire/flag.ts'

/**
 * What a line of `$hub.tap` tells of. `item` goes either way; `uploaded` is the end of a caller's items;
 * `refused` never reached its target; `event` is a publication as one subscriber gets it.
 */
export type TapKind =
  | 'call'
  | 'notify'
  | 'item'
  | 'uploaded'
  | 'end'
  | 'error'
  | 'cancel'
  | 'refused'
  | 'subscribe'
  | 'publish'
  | 'event'

/** One message as its head shows it. No body is read for it. */
export interface TapEvent {
  /** Milliseconds since 1970, by the hub's clock. */
  readonly at: number
  readonly kind: TapKind
  readonly from: string
  readonly to: string
  readonly method: string
  readonly lane: string
  /** Payload bytes of the whole message. */
  readonly bytes: number
  /** Of an end: `OK`; of an error its reason, if links and hubs have it, else its code, `ERROR` if it named none. */
  readonly status?: string
  /** Of an end: since the call came to the hub. */
  readonly ms?: number
}

/** One item of `$hub.tap`. */
export interface TapBatch {
  readonly events: readonly TapEvent[]
  /** Messages that were not shown since the last batch, because the reader was slower than the traffic. */
  readonly dropped: number
}

export interface TapFilter {
  /** Only what comes from or goes to this id. */
  readonly peer?: string | undefined
  /** Only this method or topic; `pages.*` is all of a contract. */
  readonly method?: string | undefined
}

/** The stream's own name: its frames are never shown, or each would make the next. */
export const TAP_METHOD = '$hub.tap'
/** Messages that wait for one reader. */
const CAPACITY = 2048
/** Messages in one item. */
const BATCH = 128
const LANE_NAMES = ['control', 'high', 'normal', 'low'] as const

/** Everybody who watches the traffic of a hub. The switch holds one only while somebody does. */
export class Taps {
  readonly #taps = new Set<Tap>()
  readonly #onUse: (taps: Taps | undefined) => void

  /** @param onUse is given this when the first tap opens, and undefined when the last has closed. */
  constructor(onUse: (taps: Taps | undefined) => void) {
    this.#onUse = onUse
  }

  get size(): number {
    return this.#taps.size
  }

  /** Tells of one message. `flags` are the frame's: they hold its lane. */
  emit(
    kind: TapKind,
    from: string,
    to: string,
    method: string,
    flags: number,
    bytes: number,
    status?: string,
    ms?: number,
  ): void {
    if (method === TAP_METHOD) return
    let event: TapEvent | undefined
    for (const tap of this.#taps) {
      if (!tap.wants(from, to, method)) continue
      event ??= {
        at: Date.now(),
        kind,
        from,
        to,
        method,
        lane: LANE_NAMES[flags & FLAG.LANE] ?? '',
        bytes,
        ...(status === undefined ? {} : { status }),
        ...(ms === undefined ? {} : { ms }),
      }
      tap.push(event)
    }
  }

  add(tap: Tap): void {
    this.#taps.add(tap)
    this.#onUse(this)
  }

  delete(tap: Tap): void {
    this.#taps.delete(tap)
    if (this.#taps.size === 0) this.#onUse(undefined)
  }
}

/**
 * One reader's view: an iterable of batches, the first of them empty, to say that the watch has begun. What
 * comes faster than it is read is dropped and counted. It is one of its hub's taps from the first `next`
 * until `return`; no generator, whose `return` would wait for a message that may never come.
 */
export class Tap implements AsyncIterableIterator<TapBatch, undefined> {
  readonly #taps: Taps
  readonly #filter: TapFilter
  readonly #prefix: string | undefined
  #events: TapEvent[] = []
  #dropped = 0
  #begun = false
  #ended = false
  #wake: (() => void) | undefined

  constructor(taps: Taps, filter: TapFilter) {
    this.#taps = taps
    this.#filter = filter
    this.#prefix = filter.method?.endsWith('*') ? filter.method.slice(0, -1) : undefined
  }

  wants(from: string, to: string, method: string): boolean {
    const { peer, method: wanted } = this.#filter
    if (peer !== undefined && peer !== from && peer !== to) return false
    if (this.#prefix !== undefined) return method.startsWith(this.#prefix)
    return wanted === undefined || wanted === method
  }

  push(event: TapEvent): void {
    if (this.#events.length >= CAPACITY) {
      this.#dropped++
      return
    }
    this.#events.push(event)
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<TapBatch, undefined>> {
    if (!this.#begun) {
      this.#begun = true
      this.#taps.add(this)
      return { done: false, value: { events: [], dropped: 0 } }
    }
    if (this.#events.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
    if (this.#ended) return { done: true, value: undefined }
    const dropped = this.#dropped
    this.#dropped = 0
    return { done: false, value: { events: this.#events.splice(0, BATCH), dropped } }
  }

  async return(): Promise<IteratorResult<TapBatch, undefined>> {
    this.#ended = true
    this.#events = []
    this.#taps.delete(this)
    this.#wake?.()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
