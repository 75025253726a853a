import type { CallContext, Delivery, PeerInfo } from './call.ts'

/** A call's context, perhaps with another upload or another way for progress; all else is the first one's word. */
export class ContextView implements CallContext {
  readonly #context: CallContext
  readonly #changed: ContextChanges

  constructor(context: CallContext, changed: ContextChanges = {}) {
    this.#context = context
    this.#changed = changed
  }
  get signal(): AbortSignal {
    return this.#context.signal
  }
  get peer(): PeerInfo {
    return this.#context.peer
  }
  get delivery(): Delivery | undefined {
    return this.#context.delivery
  }
  get timeLeftMs(): number {
    return this.#context.timeLeftMs
  }
  get deadline(): number {
    return this.#context.deadline
  }
  get traceparent(): string | undefined {
    return this.#changed.traceparent ?? this.#context.traceparent
  }
  get idempotencyKey(): string | undefined {
    return this.#changed.idempotencyKey ?? this.#context.idempotencyKey
  }
  get upload(): AsyncIterable<unknown> {
    return this.#changed.upload ?? this.#context.upload
  }
  progress(value: unknown): void {
    if (this.#changed.progress) this.#changed.progress(value)
    else this.#context.progress(value)
  }
}

export interface ContextChanges {
  readonly traceparent?: string | undefined
  readonly idempotencyKey?: string | undefined
  readonly upload?: AsyncIterable<unknown>
  readonly progress?: (value: unknown) => void
}
