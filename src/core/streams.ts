import type { ItemStream } from './call.ts'
import type { Items } from './items.ts'

/** The answer of a stream, for one reader. */
export class ItemAnswer implements ItemStream {
  readonly items: Items
  readonly output: Promise<unknown>
  readonly cancel: (reason?: unknown) => void

  constructor(items: Items, output: Promise<unknown>, cancel: (reason?: unknown) => void) {
    this.items = items
    this.output = output
    this.cancel = cancel
    // Whoever only reads the items learns of a failure there.
    output.catch(() => {})
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    return this.items
  }
}
