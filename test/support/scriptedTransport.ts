import type { Transport, TransportEvents } from '../../src/core/transport.ts'
import { joinBytes, splitFrames } from './frames.ts'

/** A transport whose far end is the test: what is sent is kept, what arrives is given. */
export class ScriptedTransport implements Transport {
  /** Frames that the near end has sent and the test has not taken yet. */
  readonly sent: Uint8Array[] = []
  /** `send` says false while this is set. */
  full = false
  paused = false
  closedWith: string | undefined
  #events: TransportEvents | undefined
  #waiting: Uint8Array[] = []

  send(frames: Uint8Array, tail?: Uint8Array): boolean {
    this.sent.push(...splitFrames(tail ? joinBytes(frames, tail) : frames.slice()))
    return !this.full
  }

  close(reason = 'TRANSPORT_CLOSED'): void {
    if (this.closedWith !== undefined) return
    this.closedWith = reason
    queueMicrotask(() => this.#events?.close(reason))
  }

  attach(events: TransportEvents): void {
    this.#events = events
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    for (const run of this.#waiting.splice(0)) this.receive(run)
  }

  /** Frames arrive, in one run. */
  receive(...frames: readonly Uint8Array[]): void {
    if (this.closedWith !== undefined) return
    if (this.paused) this.#waiting.push(joinBytes(...frames))
    else this.#events?.frame(joinBytes(...frames))
  }

  /** Frames arrive in memory that is written to again. @returns whether it may not be, because views of it are kept. */
  lend(frames: Uint8Array): boolean {
    this.#events?.frame(frames)
    return this.kept
  }

  /** Whether views of what was lent are kept. */
  get kept(): boolean {
    return this.#events?.kept?.() ?? true
  }

  /** The far end takes again. */
  drain(): void {
    this.full = false
    this.#events?.drain()
  }

  /** The far end is gone. */
  lose(): void {
    this.close()
  }

  take(): Uint8Array[] {
    return this.sent.splice(0)
  }
}
