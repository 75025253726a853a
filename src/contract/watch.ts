import type { ItemStream } from '../core/call.ts'
import { untyped } from '../core/method.ts'
import type { HubChange } from '../hub/answers.ts'
import { isViaductError } from '../wire/errors.ts'
import { isObject } from '../wire/guards.ts'

export const WATCH = untyped('$hub.watch', 'stream')

export interface WatchOptions {
  /** Ends the watch, as leaving its loop does. */
  readonly signal?: AbortSignal
}

/** Who is on the hub, as it changes. Iterate it once; leaving the loop ends it, and so does `cancel`. */
export interface PeerWatch extends AsyncIterable<HubChange> {
  cancel(): void
}

/**
 * Watches a hub. Over a link that comes back the watch goes on with a snapshot, whose `missed` is `unknown`.
 *
 * @param open begins a watch over the link that there is.
 * @param again settles when there is a link once more; false when there will be none.
 */
export function watchHub(
  open: () => ItemStream,
  again: () => Promise<boolean>,
  { signal }: WatchOptions = {},
): PeerWatch {
  let present: ItemStream | undefined
  let cancelled = signal?.aborted ?? false
  let giveUp = (_: boolean): void => {}
  const gone = new Promise<boolean>((resolve) => {
    giveUp = resolve
  })
  const cancel = (): void => {
    cancelled = true
    giveUp(false)
    present?.cancel()
  }
  async function* changes(): AsyncGenerator<HubChange, void, undefined> {
    signal?.addEventListener('abort', cancel, { once: true })
    try {
      for (let resumed = false; !cancelled; resumed = true) {
        present = open()
        try {
          for await (const item of present) {
            if (!isHubChange(item)) continue
            const late = item.kind === 'snapshot' && resumed
            resumed = false
            yield late ? { ...item, missed: 'unknown' } : item
          }
        } catch (error) {
          if (cancelled) return
          if (!isViaductError(error) || error.reason !== 'LINK_LOST') throw error
          if (await Promise.race([again(), gone])) continue
          if (cancelled) return
          throw error
        }
        return
      }
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }
  return { cancel, [Symbol.asyncIterator]: changes }
}

/** Whether a value is an item of `$hub.watch`; a newer hub may send kinds that are not known here. */
export function isHubChange(value: unknown): value is HubChange {
  if (!isObject(value) || !('kind' in value) || !('at' in value)) return false
  if (value.kind === 'snapshot') return 'peers' in value && Array.isArray(value.peers)
  return 'id' in value && typeof value.id === 'string'
}

/** The rows after a change; a program that shows them keeps them so. */
export function applyChange<Row extends { readonly id: string }>(
  rows: Map<string, Row>,
  change: { readonly peers: readonly Row[] } | { readonly id: string; readonly peer?: Row },
): void {
  if ('peers' in change) {
    rows.clear()
    for (const peer of change.peers) rows.set(peer.id, peer)
  } else if (change.peer) rows.set(change.id, change.peer)
  else rows.delete(change.id)
}
