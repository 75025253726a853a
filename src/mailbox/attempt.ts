import type { Clock } from '../core/clock.ts'
import { ViaductError } from '../wire/errors.ts'
import type { Arrival, BodyFormat } from './message.ts'
import type { Delivery } from './options.ts'

/** A message between its arrival and its end. */
export class Tracked {
  readonly arrival: Arrival
  /** Starts so far. */
  starts: number
  /** Whether it counts as held in memory. */
  isLoaded = true
  /** Whether the journal has a start of it that is not over. */
  isOpen = false
  /** Later arrivals of the same id. */
  twins: Arrival[] | undefined

  constructor(arrival: Arrival, starts: number) {
    this.arrival = arrival
    this.starts = starts
  }

  get priority(): Arrival['priority'] {
    return this.arrival.priority
  }
}

/** One start of it. */
export class Attempt implements Delivery {
  readonly tracked: Tracked
  readonly attempt: number
  readonly format: BodyFormat
  /** When the lease ends, monotonic; Infinity while the process lives. */
  leaseEndMs: number
  /** Settled, or given up: what its handler does from now on is not heard. */
  isOver = false
  readonly #clock: Clock
  #controller: AbortController | undefined

  constructor(tracked: Tracked, format: BodyFormat, leaseEndMs: number, clock: Clock) {
    this.tracked = tracked
    this.attempt = tracked.starts
    this.format = format
    this.leaseEndMs = leaseEndMs
    this.#clock = clock
  }

  /** Made when it is asked for, since few handlers do. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  get extend(): (ms: number) => void {
    return (ms) => {
      if (!Number.isFinite(ms) || ms <= 0) {
        throw new ViaductError('INVALID_ARGUMENT', `extend: ${ms} will not do: give milliseconds over 0`, {
          reason: 'BAD_OPTION',
          path: 'extend',
        })
      }
      if (this.isOver) throw leaseExpired(this.tracked.arrival.id)
      if (this.leaseEndMs !== Number.POSITIVE_INFINITY) this.leaseEndMs = this.#clock.now() + ms
    }
  }

  abort(error: ViaductError): void {
    this.isOver = true
    this.#controller ??= new AbortController()
    this.#controller.abort(error)
  }
}

export function leaseExpired(id: string): ViaductError {
  return new ViaductError(
    'FAILED_PRECONDITION',
    `the lease of message ${id} is over: another attempt follows; call extend, or let leaseMs be longer`,
    { reason: 'LEASE_EXPIRED' },
  )
}
