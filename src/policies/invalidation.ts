import { contract, topic } from '../contract/contract.ts'
import type { Peer } from '../contract/peer.ts'
import { unchecked } from '../contract/schema.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import type { CacheOthers } from './cache.ts'

interface Invalidated {
  /** Absent: everything. */
  readonly tags?: readonly string[]
}

/** What caches tell one another: a rule of the manifest names it `cache.invalidated`. */
export const cacheTopics = contract('cache', {
  invalidated: topic({ data: unchecked<Invalidated>() }),
})

/** Tags of one event; more of them forget everything. */
const MAX_TAGS = 1_000

/**
 * Joins a cache with those of other processes: what one forgets, all forget. Who may have missed something, because it
 * was away or too slow, forgets everything. Between telling and hearing others may still answer from what they have.
 * Without a hub, or a rule of its manifest that lets it hear, a cache keeps nothing.
 */
export function invalidateWith(peer: Pick<Peer, 'publish' | 'subscribe'>): CacheOthers {
  return {
    tell(tags) {
      const event = tags === undefined || tags.length > MAX_TAGS ? {} : { tags }
      return peer.publish(cacheTopics.invalidated, event)
    },
    listen(heard, deaf) {
      const all = (): void => heard(undefined)
      const events = peer.subscribe(cacheTopics.invalidated, { onGap: all })
      const read = async (): Promise<void> => {
        let dropped = 0n
        for await (const event of events) {
          const missed = events.dropped > dropped
          dropped = events.dropped
          if (missed) all()
          else heard(tagsOf(event))
        }
      }
      read().then(deaf, deaf)
    },
  }
}

/** Whatever is not a list of tags forgets everything: too much is safe. */
function tagsOf(event: unknown): readonly string[] | undefined {
  const tags = fieldOf(event, 'tags')
  if (!Array.isArray(tags) || tags.length > MAX_TAGS) return undefined
  return tags.every((tag) => typeof tag === 'string') ? tags : undefined
}
