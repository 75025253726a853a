import type { Clock } from './clock.ts'
import { type Method, untyped } from './method.ts'

const SERVE: Method = { ...untyped('$hub.serve'), lane: 'high' }
const WITHDRAW: Method = { ...untyped('$hub.withdraw'), lane: 'high' }
/** Methods in one announcement: with names of every length the hub takes it. */
const LINES = 24

export interface AnnouncementsHost {
  readonly clock: Clock
  readonly isClosed: boolean
  /** Sends one way. False when the outbox is full and the message was not taken. */
  notify(method: Method, input: unknown): boolean
  /** Calls back when the outbox takes more. */
  whenRoom(resume: () => void): void
}

/**
 * Tells a hub what is served here. What changes within a turn is told at its end, for each name only how it
 * stands then; what does not fit into the outbox waits for room, so nothing that was withdrawn stays known.
 */
export class Announcements {
  readonly #host: AnnouncementsHost
  /** What the hub has to hear, by name: the method that is served, or undefined for none. */
  readonly #pending = new Map<string, Method | undefined>()
  #scheduled = false

  constructor(host: AnnouncementsHost) {
    this.#host = host
  }

  served(method: Method): void {
    this.#add(method.name, method)
  }

  withdrawn(name: string): void {
    this.#add(name, undefined)
  }

  #add(name: string, method: Method | undefined): void {
    this.#pending.set(name, method)
    if (this.#scheduled) return
    this.#scheduled = true
    this.#host.clock.afterTurn(() => this.flush())
  }

  /** Says now what is to be said. */
  flush(): void {
    this.#scheduled = false
    while (this.#pending.size > 0 && !this.#host.isClosed) {
      const [first] = this.#pending.values()
      const batch = [...this.#pending]
        .filter(([, method]) => (method === undefined) === (first === undefined))
        .slice(0, LINES)
      const taken = first
        ? this.#host.notify(SERVE, { methods: batch.flatMap(([, method]) => (method ? [line(method)] : [])) })
        : this.#host.notify(WITHDRAW, { methods: batch.map(([name]) => name) })
      if (!taken) {
        this.#scheduled = true
        this.#host.whenRoom(() => this.flush())
        return
      }
      for (const [name] of batch) this.#pending.delete(name)
    }
  }
}

function line({ name, fingerprint, kind, idempotent }: Method): (string | boolean)[] {
  if (idempotent) return [name, fingerprint, kind, true]
  return kind === 'call' ? [name, fingerprint] : [name, fingerprint, kind]
}
