import { type Clock, systemClock } from '../core/clock.ts'
import type { Transport, TransportEvents } from '../core/transport.ts'

/** Bytes under way in one direction before `send` says false. */
const HIGH_WATER_BYTES = 256 * 1024

/** One end of a pair within one process. Frames arrive in a later turn, as over any other transport. */
class MemoryEnd implements Transport {
  readonly #clock: Clock
  far: MemoryEnd | undefined
  #events: TransportEvents | undefined
  #inbox: Uint8Array[] = []
  #bytes = 0
  #full = false
  #scheduled = false
  #paused = false
  #closed = false
  #closing: string | undefined
  #ended: string | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  send(frames: Uint8Array, tail?: Uint8Array): boolean {
    const { far } = this
    if (this.#closed || !far || far.#closed) return true
    const whole = tail ? joined(frames, tail) : frames
    far.#inbox.push(whole)
    far.#bytes += whole.length
    far.#schedule()
    this.#full = far.#bytes >= HIGH_WATER_BYTES
    return !this.#full
  }

  attach(events: TransportEvents): void {
    this.#events = events
    if (this.#ended !== undefined) this.#tell(events, this.#ended)
    if (this.#inbox.length > 0 || this.#closing !== undefined) this.#schedule()
  }

  close(reason = 'TRANSPORT_CLOSED'): void {
    if (this.#closed) return
    this.#finish(reason)
    const { far } = this
    if (far && !far.#closed) {
      far.#closing = reason
      far.#schedule()
    }
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#schedule()
  }

  /** Done is what the far end has read. One that keeps views is a hub's, and never says that it does not. */
  flush(): boolean {
    const { far } = this
    return !far || far.#closed || (far.#inbox.length === 0 && !far.#events?.keeps)
  }

  #schedule(): void {
    if (this.#scheduled || !this.#events || this.#paused) return
    this.#scheduled = true
    this.#clock.afterTurn(() => this.#deliver())
  }

  #deliver(): void {
    this.#scheduled = false
    while (this.#events && !this.#paused && !this.#closed) {
      const frames = this.#inbox.shift()
      if (!frames) break
      this.#bytes -= frames.length
      this.#events.frame(frames)
    }
    if (this.#bytes < HIGH_WATER_BYTES / 2) {
      const { far } = this
      if (far) far.#drained()
    }
    if (this.#closing !== undefined && this.#inbox.length === 0) this.#finish(this.#closing)
  }

  #drained(): void {
    if (!this.#full) return
    this.#full = false
    this.#events?.drain()
  }

  #finish(reason: string): void {
    if (this.#closed) return
    this.#closed = true
    this.#ended = reason
    this.#inbox = []
    if (this.#events) this.#tell(this.#events, reason)
  }

  #tell(events: TransportEvents, reason: string): void {
    this.#clock.afterTurn(() => events.close(reason))
  }
}

function joined(frames: Uint8Array, tail: Uint8Array): Uint8Array {
  const whole = new Uint8Array(frames.length + tail.length)
  whole.set(frames)
  whole.set(tail, frames.length)
  return whole
}

/** Two ends joined within one process: for tests, and for a hub's own services. */
export function memoryTransports(clock: Clock = systemClock): [Transport, Transport] {
  const left = new MemoryEnd(clock)
  const right = new MemoryEnd(clock)
  left.far = right
  right.far = left
  return [left, right]
}
