/** Where the items of one direction of an exchange go. */
export interface ItemFlow {
  /** Sends one. What it throws says why it cannot be sent. */
  send(item: unknown): void
  /** Whether what was sent has to leave first, or credit to come. */
  isHeld(): boolean
  /** Calls back, once or more often, when that may have changed. */
  readonly whenFree: (resume: () => void) => void
}

/** The same, and what comes of their generator. */
export interface Flow extends ItemFlow {
  /** The generator has returned. */
  done(output: unknown): void
  /** It threw, or yielded what cannot be sent. */
  failed(error: unknown): void
}

/**
 * Sends what an iterable yields as items, as fast as credit and transport allow. The iterable is the pump's
 * until it has ended or was stopped.
 *
 * @returns a function that stops it and lets the generator clean up.
 */
export function pump(items: AsyncIterable<unknown> | Iterable<unknown>, flow: Flow): () => void {
  let stopped = false
  let iterator: AsyncIterator<unknown> | Iterator<unknown> | undefined
  const stop = (): void => {
    if (stopped) return
    stopped = true
    // However it takes it: nobody waits for it.
    void (async () => iterator?.return?.())().catch(() => {})
  }
  const run = async (): Promise<void> => {
    try {
      iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
      // Whoever asked for this can stop it before anything of it has run.
      await undefined
      while (!stopped) {
        const result = await iterator.next()
        if (stopped) return
        if (result.done) return flow.done(result.value)
        try {
          flow.send(result.value)
        } catch (error) {
          flow.failed(error)
          return stop()
        }
        while (!stopped && flow.isHeld()) await new Promise<void>(flow.whenFree)
      }
    } catch (error) {
      // Its iterator has ended by itself.
      if (!stopped) flow.failed(error)
    }
  }
  void run()
  return stop
}
