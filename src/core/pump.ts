import type { Dictionary } from '../wire/dictionary.ts'
import * as FLAG from '../wire/flag.ts'
import * as KIND from '../wire/kind.ts'
import type { Method } from './method.ts'
import { named } from './named.ts'
import type { Output } from './output.ts'
import type { Sender } from './sender.ts'

/** Where the items of one direction of an exchange go, and how. */
export interface Flow {
  readonly sender: Sender
  readonly id: number
  readonly method: Method
  readonly flags: number
  readonly dictionary: Dictionary | undefined
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
export function pump(
  output: Output,
  items: AsyncIterable<unknown> | Iterable<unknown>,
  flow: Flow,
): () => void {
  const { sender } = flow
  let stopped = false
  let wake: (() => void) | undefined
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  const stop = (): void => {
    if (stopped) return
    stopped = true
    wake?.()
    // However it takes it: nobody waits for it.
    void (async () => iterator.return?.())().catch(() => {})
  }
  const room = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
      sender.onidle = resolve
      if (!sender.busy && sender.credit > 0) output.whenRoom(resolve)
    })
  const run = async (): Promise<void> => {
    try {
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
          output.write(KIND.ITEM, flow.flags, flow.id, result.value, flow.dictionary, sender)
        } catch (error) {
          const isAnswer = (flow.flags & FLAG.ANSWER) !== 0
          flow.failed(named(error, flow.method, isAnswer ? 'item' : 'upload', isAnswer))
          stop()
          return
        }
        while (!stopped && (sender.busy || sender.credit <= 0 || output.link.outbox.congested)) await room()
        if (stopped) return
      }
    } catch (error) {
      if (!stopped) flow.failed(error)
    }
  }
  void run()
  return stop
}
