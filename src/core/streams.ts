import { ViaductError } from '../wire/errors.ts'
import type { ItemStream } from './call.ts'
import type { Items } from './items.ts'
import type { Method } from './method.ts'

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

/** Only a stream has items; the callee is of another mind. */
export function notAStream(method: Method): ViaductError {
  return new ViaductError(
    'FAILED_PRECONDITION',
    `${method.name}: the far side answers with items; declare it as a stream`,
    { reason: 'SKEW', fate: 'unknown' },
  )
}
