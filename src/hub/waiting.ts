import type { Clock } from '../core/clock.ts'
import { slotOf } from '../core/exchange.ts'
import { readU16, readU32, writeU32 } from '../wire/frame.ts'
import * as AT from '../wire/headerAt.ts'
import * as KIND from '../wire/kind.ts'
import type { ReasonName } from '../wire/reasons.ts'
import type { Gathering, HubRoute, Port } from './port.ts'
import type { Switch } from './switch.ts'

/** Calls that may wait at once, over all targets that are starting. */
const MAX_WAITING = 1024
/** Those of one caller. */
const MAX_WAITING_PER_PORT = 64
/** Bytes of their frames, over all callers; of one caller half of what it may have queued. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** What keeping a frame costs besides its bytes. */
const FRAME_COST_BYTES = 256

interface Call {
  readonly port: Port
  readonly id: number
  readonly route: HubRoute
  /** All that its caller has said of it, the CALL first. */
  readonly frames: [Uint8Array, ...Uint8Array[]]
  bytes: number
  readonly since: number
  readonly cancelTimer: () => void
}

/**
 * Calls whose target is known to be starting. They wait within bounds, in number and time, and are then
 * either switched as if they came now or refused. What follows a CALL, of a long input or an upload, waits with it.
 */
export class Waiting implements Gathering {
  readonly #clock: Clock
  readonly #switch: Switch
  readonly #maxMs: number
  readonly #calls = new Set<Call>()
  #bytes = 0

  constructor(clock: Clock, through: Switch, maxMs: number) {
    this.#clock = clock
    this.#switch = through
    this.#maxMs = maxMs
  }

  add(port: Port, route: HubRoute, bytes: Uint8Array, at: number, length: number): boolean {
    const payloadBytes = readU32(bytes, at + AT.payloadBytes)
    if (!this.#hasRoom(port, Math.max(length, payloadBytes))) return false
    if (this.#calls.size >= MAX_WAITING || port.waiting >= MAX_WAITING_PER_PORT) return false
    const id = readU32(bytes, at + AT.id)
    const timeLeft = readU32(bytes, at + AT.timeLeft)
    const call: Call = {
      port,
      id,
      route,
      frames: [bytes.slice(at, at + length)],
      bytes: 0,
      since: this.#clock.now(),
      cancelTimer: this.#clock.after(timeLeft === 0 ? this.#maxMs : Math.min(timeLeft, this.#maxMs), () => {
        this.#take(call)
        this.#refuse(call, 'TARGET_UNAVAILABLE')
      }),
    }
    const slot = slotOf(id)
    port.madeIds[slot] = id
    port.madeTo[slot] = this
    this.#calls.add(call)
    port.waiting++
    this.#charge(call, length + FRAME_COST_BYTES)
    return true
  }

  call(): void {
    // Calls come by add(), when the switch finds nobody behind a route.
  }

  frame(from: Port, kind: number, id: number, bytes: Uint8Array, at: number): void {
    const call = this.#find(from, id)
    if (!call) return
    const length = readU32(bytes, at + AT.bytes)
    if (kind === KIND.CANCEL) {
      this.#take(call)
      this.#refuse(call, 'CANCELLED')
    } else if (this.#hasRoom(from, length)) {
      call.frames.push(bytes.slice(at, at + length))
      this.#charge(call, length + FRAME_COST_BYTES)
    } else {
      this.#take(call)
      this.#refuse(call, 'QUEUE_FULL')
    }
  }

  #hasRoom(port: Port, bytes: number): boolean {
    return this.#bytes + bytes <= MAX_WAITING_BYTES && port.waitingBytes + bytes <= port.limits.queueBytes / 2
  }

  #charge(call: Call, bytes: number): void {
    call.bytes += bytes
    call.port.waitingBytes += bytes
    this.#bytes += bytes
  }

  lost(from: Port, id: number): void {
    const call = this.#find(from, id)
    if (call) this.#take(call)
  }

  /** Somebody has come, serves more, or will not come after all. */
  retry(): void {
    for (const call of [...this.#calls]) {
      // The link of one that was switched before it may have ended over that.
      if (!this.#calls.has(call)) continue
      const [frame, ...rest] = call.frames
      const index = readU16(frame, AT.method)
      const served = call.route.bindings.some((binding) => binding.serves[index])
      if (!served && call.route.awaited()) continue
      this.#take(call)
      const timeLeft = readU32(frame, AT.timeLeft)
      const held = Math.floor(this.#clock.now() - call.since)
      if (timeLeft !== 0) writeU32(frame, AT.timeLeft, Math.max(1, timeLeft - held))
      // It was counted when it came.
      call.port.calls--
      call.port.link.accepted--
      this.#switch.frame(call.port, frame, 0, frame.length)
      for (const further of rest) {
        // If the call was refused these are late, and counted as such.
        if (call.port.closed === undefined) this.#switch.frame(call.port, further, 0, further.length)
      }
    }
  }

  remove(port: Port): void {
    for (const call of [...this.#calls]) if (call.port === port) this.#take(call)
  }

  stop(): void {
    for (const call of [...this.#calls]) this.#take(call)
  }

  #refuse({ port, id, route, frames: [frame] }: Call, reason: ReasonName): void {
    this.#switch.bare(
      port,
      id,
      reason,
      'not-sent',
      route.methods[readU16(frame, AT.method)]?.name,
      route.target,
    )
  }

  #find(port: Port, id: number): Call | undefined {
    for (const call of this.#calls) if (call.port === port && call.id === id) return call
    return undefined
  }

  #take(call: Call): void {
    call.cancelTimer()
    this.#calls.delete(call)
    call.port.waiting--
    this.#charge(call, -call.bytes)
    call.port.madeTo[slotOf(call.id)] = undefined
  }
}
