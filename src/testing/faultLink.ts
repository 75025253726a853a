import { type Clock, systemClock } from '../core/clock.ts'
import type { Transport, TransportEvents } from '../core/transport.ts'
import { readU32 } from '../wire/frame.ts'
import { Framer } from '../wire/framer.ts'

export type Side = 'left' | 'right'

export interface FaultOptions {
  /** Default: the system's. With a virtual clock nothing arrives late by accident. */
  readonly clock?: Clock
  /** How long every byte is under way, ms. Default 0: until the turn has ended. */
  readonly delayMs?: number
  /** Bytes arrive in pieces of this size at most, put together again by a framer. Default: as sent. */
  readonly splitEvery?: number
  /** The link breaks when one direction has delivered so many bytes, be it within a frame. */
  readonly cutAfterBytes?: number
  /** Nothing arrives until {@link FaultLink.resume}. Default false. */
  readonly stalled?: boolean
  /** Bytes under way in one direction before `send` says false. Default 256 KiB. */
  readonly highWaterBytes?: number
  /** Told of every frame when it is sent; to look at, not to keep. */
  readonly onFrame?: (from: Side, frame: Uint8Array) => void
  /** Told of every `send`. */
  readonly onWrite?: (from: Side, bytes: number) => void
}

interface Chunk {
  readonly bytes: Uint8Array
  readonly due: number
}

/** One direction: bytes in order, handed over by a framer when their time has come. */
class Pipe {
  readonly #options: FaultOptions
  readonly #clock: Clock
  readonly #high: number
  readonly #broken: () => void
  #chunks: Chunk[] = []
  #framer: Framer | undefined
  #scheduled = false
  #closing: string | undefined
  bytes = 0
  delivered = 0
  full = false
  stalled: boolean
  source: End | undefined
  target: End | undefined

  constructor(options: FaultOptions, broken: () => void) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#high = options.highWaterBytes ?? 256 * 1024
    this.#broken = broken
    this.stalled = options.stalled ?? false
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#chunks.push({ bytes, due: this.#clock.now() + (this.#options.delayMs ?? 0) })
    this.bytes += bytes.length
    this.schedule()
  }

  /** Whether more is wanted. */
  get takes(): boolean {
    this.full = this.bytes >= this.#high
    return !this.full
  }

  close(reason: string): void {
    this.#closing ??= reason
    this.schedule()
  }

  clear(): void {
    this.#chunks = []
    this.bytes = 0
  }

  schedule(): void {
    const { target } = this
    if (this.#scheduled || this.stalled || !target?.reading) return
    const first = this.#chunks[0]
    if (!first && this.#closing === undefined) return
    this.#scheduled = true
    const run = (): void => {
      this.#scheduled = false
      this.#deliver(target)
    }
    const delayMs = first ? first.due - this.#clock.now() : 0
    if (delayMs > 0) this.#clock.after(delayMs, run)
    else this.#clock.afterTurn(run)
  }

  #deliver(target: End): void {
    this.#framer ??= new Framer((frames) => target.hand(frames))
    while (!this.stalled && target.reading) {
      const chunk = this.#chunks[0]
      if (!chunk || chunk.due > this.#clock.now()) break
      this.#chunks.shift()
      this.bytes -= chunk.bytes.length
      if (!this.#hand(chunk.bytes, this.#framer)) return
    }
    if (this.full && this.bytes < this.#high / 2) {
      this.full = false
      this.source?.events?.drain()
    }
    if (this.#chunks.length > 0) this.schedule()
    else if (this.#closing !== undefined && !this.stalled) target.finish(this.#closing)
  }

  /** @returns false when the link broke. */
  #hand(bytes: Uint8Array, framer: Framer): boolean {
    const left = (this.#options.cutAfterBytes ?? Number.POSITIVE_INFINITY) - this.delivered
    const end = Math.min(bytes.length, left)
    const step = this.#options.splitEvery ?? Math.max(1, end)
    this.delivered += end
    for (let at = 0; at < end; at += step) {
      if (!framer.push(bytes.subarray(at, Math.min(at + step, end)))) {
        this.#broken()
        return false
      }
    }
    if (end === bytes.length) return true
    this.#broken()
    return false
  }
}

class End implements Transport {
  readonly #clock: Clock
  readonly #side: Side
  readonly #options: FaultOptions
  readonly #out: Pipe
  readonly #in: Pipe
  events: TransportEvents | undefined
  #paused = false
  #closed: string | undefined
  #told = false

  constructor(side: Side, out: Pipe, inward: Pipe, options: FaultOptions) {
    this.#side = side
    this.#out = out
    this.#in = inward
    this.#options = options
    this.#clock = options.clock ?? systemClock
    out.source = this
    inward.target = this
  }

  get reading(): boolean {
    return this.events !== undefined && !this.#paused && this.#closed === undefined
  }

  send(frames: Uint8Array, tail?: Uint8Array): boolean {
    if (this.#closed !== undefined) return true
    this.#options.onWrite?.(this.#side, frames.length + (tail?.length ?? 0))
    if (this.#options.onFrame) this.#show(frames, tail, this.#options.onFrame)
    this.#out.push(frames)
    if (tail) this.#out.push(tail)
    return this.#out.takes
  }

  #show(
    frames: Uint8Array,
    tail: Uint8Array | undefined,
    onFrame: (from: Side, frame: Uint8Array) => void,
  ): void {
    let at = 0
    while (at < frames.length) {
      const length = readU32(frames, at)
      if (at + length <= frames.length) {
        onFrame(this.#side, frames.subarray(at, at + length))
      } else {
        const whole = new Uint8Array(length)
        whole.set(frames.subarray(at))
        if (tail) whole.set(tail, frames.length - at)
        onFrame(this.#side, whole)
      }
      at += length
    }
  }

  close(reason = 'TRANSPORT_CLOSED'): void {
    if (this.#closed !== undefined) return
    this.#out.close(reason)
    this.finish(reason)
  }

  attach(events: TransportEvents): void {
    this.events = events
    if (this.#closed !== undefined) this.#tell(this.#closed)
    else this.#in.schedule()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#in.schedule()
  }

  /** Frames are lent: whoever keeps them without saying so finds them overwritten. */
  hand(frames: Uint8Array): void {
    const { events } = this
    if (!events) return
    const lent = frames.slice()
    events.frame(lent)
    if (!events.keeps || events.kept?.() === false) lent.fill(0xee)
  }

  finish(reason: string): void {
    if (this.#closed !== undefined) return
    this.#closed = reason
    this.#in.clear()
    this.#tell(reason)
  }

  #tell(reason: string): void {
    const { events } = this
    if (!events || this.#told) return
    this.#told = true
    this.#clock.afterTurn(() => events.close(reason))
  }
}

/** A link within one process that can be made to misbehave. */
export class FaultLink {
  /** The two ends; each is a transport. */
  readonly ends: readonly [Transport, Transport]
  readonly #left: End
  readonly #right: End
  readonly #pipes: Readonly<Record<Side, Pipe>>

  constructor(options: FaultOptions = {}) {
    const broken = (): void => this.cut()
    const fromLeft = new Pipe(options, broken)
    const fromRight = new Pipe(options, broken)
    this.#pipes = { left: fromLeft, right: fromRight }
    this.#left = new End('left', fromLeft, fromRight, options)
    this.#right = new End('right', fromRight, fromLeft, options)
    this.ends = [this.#left, this.#right]
  }

  /** Holds back what one side sends, or both, from now on. `send` says false once enough has gathered. */
  stall(from?: Side): void {
    for (const pipe of this.#of(from)) pipe.stalled = true
  }

  /** Lets what was held back go on, in order. */
  resume(from?: Side): void {
    for (const pipe of this.#of(from)) {
      pipe.stalled = false
      pipe.schedule()
    }
  }

  /** Breaks the link without a goodbye: what is under way is lost, and both ends close. */
  cut(): void {
    for (const pipe of this.#of(undefined)) pipe.clear()
    this.#left.finish('TRANSPORT_CLOSED')
    this.#right.finish('TRANSPORT_CLOSED')
  }

  /** Bytes that have arrived of what this side sent. */
  delivered(from: Side): number {
    return this.#pipes[from].delivered
  }

  /** Bytes under way of what this side sent. */
  waiting(from: Side): number {
    return this.#pipes[from].bytes
  }

  #of(from: Side | undefined): readonly Pipe[] {
    return from === undefined ? [this.#pipes.left, this.#pipes.right] : [this.#pipes[from]]
  }
}

/** Two transports joined by a link that delays, splits, stalls, and breaks, as its options say. */
export function faultLink(options: FaultOptions = {}): FaultLink {
  return new FaultLink(options)
}
