/** Where the items of one direction of an exchange go. */
export interface ItemFlow {
  /** Sends one. What it throws says why it cannot be sent. */
  send(item: unknown): void
  /** Whether what was sent has to leave first, or credit to come. */
  isHeld(): boolean
  /** Calls back, once or more often, when that may have changed. */
  whenFree(resume: () => void): void
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
  let wake: (() => void) | undefined
  let iterator: AsyncIterator<unknown> | Iterator<unknown> | undefined
  const stop = (): void => {
    if (stopped) return
    stopped = true
    wake?.()
    // However it takes it: nobody waits for it.
    void (async () => iterator?.return?.())().catch(() => {})
  }
  const free = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
      flow.whenFree(resolve)
    })
  const run = async (): Promise<void> => {
    try {
      iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
      // Whoever asked for this can stop it before anything of it has run.
      await undefined
      while (!stopped) {
        const result = await iterator.next()
        if (stopped) return
        if (result.done) {
          flow.done(result.value)
          return
        }
        try {
          flow.send(result.value)
        } catch (error) {
          flow.failed(error)
          stop()
          return
        }
        while (!stopped && flow.isHeld()) await free()
      }
    } catch (error) {
      if (!stopped) flow.failed(error)
    }
  }
  void run()
  return stop
}
