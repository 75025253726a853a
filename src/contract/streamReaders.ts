import type { ItemStream } from '../core/call.ts'
import { isThenable } from '../core/guards.ts'
import { ViaductError } from '../wire/errors.ts'

interface Reader {
  readonly onItem: (item: unknown) => unknown
  /** Ends it, unless it has ended. */
  readonly end: (error?: unknown) => void
}

/** Streams that functions read, each under a name that one stream at a time may have, each ended exactly once. */
export class StreamReaders {
  readonly #open = new Map<string, Reader>()

  get size(): number {
    return this.#open.size
  }

  /**
   * Reads a stream: `onItem` for each item, the next one when it is done with the last, so that a slow reader holds
   * up the far generator; then `onEnd`, once, with the error of a stream that did not come to its end.
   *
   * @returns a promise that settles behind `onEnd`; it rejects only with what `onEnd` throws.
   * @throws ViaductError ALREADY_EXISTS when a stream of this name is open.
   */
  async read(
    name: string,
    open: () => ItemStream,
    onItem: (item: unknown) => unknown,
    onEnd: (error?: unknown) => void,
  ): Promise<void> {
    if (this.#open.has(name)) {
      throw new ViaductError('ALREADY_EXISTS', `${name}: a stream of this name is open here; end it first`)
    }
    const stream = open()
    let ended = false
    let settle: () => void = () => {}
    let fail: (thrown: unknown) => void = () => {}
    const closed = new Promise<void>((resolve, reject) => {
      settle = resolve
      fail = reject
    })
    const end = (error?: unknown): void => {
      if (ended) return
      ended = true
      this.#open.delete(name)
      stream.cancel()
      try {
        onEnd(error)
        settle()
      } catch (thrown) {
        fail(thrown)
      }
    }
    this.#open.set(name, { onItem, end })
    try {
      for await (const item of stream) {
        if (ended) break
        await onItem(item)
      }
      end()
    } catch (error) {
      end(error)
    }
    return closed
  }

  /** Hands an item to the reader of an open stream, as if it had come. False when none of this name is open. */
  give(name: string, item: unknown): boolean {
    const reader = this.#open.get(name)
    if (!reader) return false
    try {
      const taken = reader.onItem(item)
      if (isThenable(taken)) Promise.resolve(taken).catch(reader.end)
    } catch (error) {
      reader.end(error)
    }
    return true
  }

  /** Ends an open stream and its far generator. False when none of this name is open. */
  end(name: string): boolean {
    const reader = this.#open.get(name)
    reader?.end()
    return reader !== undefined
  }
}
