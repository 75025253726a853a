import type { ItemStream } from '../core/call.ts'
import { isViaductError } from '../wire/errors.ts'

/** Listeners to a stream of a hub in another process. The stream is open while there are some. */
export class StreamListeners<Item> {
  readonly #open: () => ItemStream
  readonly #isItem: (value: unknown) => value is Item
  readonly #listeners = new Set<(item: Item) => void>()
  #stream: ItemStream | undefined

  /** @param isItem whether listeners are told of an item; the others are left out. */
  constructor(open: () => ItemStream, isItem: (value: unknown) => value is Item) {
    this.#open = open
    this.#isItem = isItem
  }

  add(listener: (item: Item) => void): () => void {
    this.#listeners.add(listener)
    if (!this.#stream) {
      this.#stream = this.#open()
      void this.#read(this.#stream)
    }
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      this.#stream?.cancel()
      this.#stream = undefined
    }
  }

  async #read(stream: ItemStream): Promise<void> {
    try {
      for await (const item of stream) {
        if (this.#isItem(item)) for (const listener of this.#listeners) listener(item)
      }
    } catch (error) {
      // It was cancelled, or the link has ended and with it the hub: its `closed` says so.
      if (!isViaductError(error)) throw error
    }
  }
}
