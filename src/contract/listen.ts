import type { Subscription } from '../core/call.ts'

/** A subscription that calls a function. Called, it ends. */
export interface Listening {
  (): void
  /** Settles when the hub has registered the subscription. */
  readonly ready: Promise<void>
}

/**
 * Reads a subscription with a function instead of a loop: one event after the other, each when the function is done
 * with the one before. What the function throws ends nothing: `onError` is told, as of the end of a subscription that
 * failed.
 */
export function listen<Data>(
  events: Subscription<Data>,
  listener: (data: Data) => unknown,
  onError: (error: unknown) => void,
): Listening {
  let ended = false
  const { ready } = events
  // Who does not wait for it hears of its failure by `onError`.
  ready.then(undefined, () => {})
  const read = async (): Promise<void> => {
    for await (const data of events) {
      if (ended) return
      try {
        await listener(data)
      } catch (error) {
        onError(error)
      }
    }
  }
  read().catch((error: unknown) => {
    if (!ended) onError(error)
  })
  const end = (): void => {
    ended = true
    events.cancel()
  }
  return Object.assign(end, { ready })
}
