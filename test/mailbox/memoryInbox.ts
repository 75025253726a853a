import type { Arrival, Fault, Outgoing } from '../../src/mailbox/message.ts'
import type { Body, Inbox, Settled } from '../../src/mailbox/store.ts'

/** A store in memory, of which a test decides what fails. */
export class MemoryInbox implements Inbox {
  readonly #stored = new Map<string, { arrival: Arrival; body: Uint8Array }>()
  readonly #fresh: Arrival[] = []
  readonly #hints = new Set<() => void>()
  readonly settledIds: string[] = []
  readonly acknowledged: string[] = []
  /** Thrown by `settled`, as long as it is there. */
  failing: Error | undefined
  /** Whether bodies come as promises. */
  isSlow = false
  #sequence = 0

  add(message: Partial<Outgoing> & { readonly id: string }, payload: unknown = {}, fault?: Fault): void {
    const body = new TextEncoder().encode(JSON.stringify(payload))
    const arrival: Arrival = {
      type: 'task',
      sentAtMs: 0,
      requiresAck: false,
      priority: 'normal',
      notBeforeMs: 0,
      expiresAtMs: 0,
      redriven: 0,
      sender: 'memory',
      sequence: ++this.#sequence,
      place: `memory:${this.#sequence}`,
      bytes: body.length,
      ...message,
      ...(fault && { fault }),
    }
    this.#stored.set(arrival.place, { arrival, body })
    this.#fresh.push(arrival)
  }

  /** As a watcher would. */
  hint(): void {
    for (const hint of this.#hints) hint()
  }

  /** What a next receiver finds. */
  again(): void {
    this.#fresh.splice(0)
    for (const { arrival } of this.#stored.values()) this.#fresh.push(arrival)
  }

  get stored(): string[] {
    return [...this.#stored.values()].map(({ arrival }) => arrival.id)
  }

  next(max: number): Promise<readonly Arrival[]> {
    return Promise.resolve(this.#fresh.splice(0, max))
  }

  body(arrival: Arrival): Body | Promise<Body> {
    const bytes = this.#stored.get(arrival.place)?.body ?? new Uint8Array()
    const body: Body = { format: 'json', bytes }
    return this.isSlow ? Promise.resolve(body) : body
  }

  raw(arrival: Arrival): Promise<Uint8Array> {
    return Promise.resolve(this.#stored.get(arrival.place)?.body ?? new Uint8Array())
  }

  release(): void {}

  settled(arrivals: readonly Settled[]): Promise<void> {
    if (this.failing) return Promise.reject(this.failing)
    for (const { arrival, acknowledge } of arrivals) {
      this.#stored.delete(arrival.place)
      this.settledIds.push(arrival.id)
      if (acknowledge) this.acknowledged.push(arrival.id)
    }
    return Promise.resolve()
  }

  watch(hint: () => void): () => void {
    this.#hints.add(hint)
    return () => this.#hints.delete(hint)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
