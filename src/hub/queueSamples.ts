import type { Tally } from '../core/ipcMetrics.ts'

/** Messages that wait at the hub now. */
export interface Queues {
  /** For each peer, events and all. */
  readonly peers: ReadonlyMap<string, number>
  /** Of each topic, for all its subscribers. */
  readonly topics: ReadonlyMap<string, number>
}

/** Names of each kind that are kept during a window; there are hardly more peers at once. */
const MAX_NAMES = 4096

interface Sizes {
  sum: number
  max: number
}

/** The sizes of queues during a window, sampled. What was not there at a sample was empty. */
export class QueueSamples {
  readonly #sizes = { peers: new Map<string, Sizes>(), topics: new Map<string, Sizes>() }
  readonly #total: Sizes = { sum: 0, max: 0 }
  #count = 0

  add(queues: Queues): void {
    this.#count++
    let total = 0
    for (const kind of ['peers', 'topics'] as const) {
      for (const [name, size] of queues[kind]) {
        if (kind === 'peers') total += size
        if (size > 0) put(this.#sizes[kind], name, size)
      }
    }
    this.#total.sum += total
    this.#total.max = Math.max(this.#total.max, total)
  }

  /** Of several queues a tally has the fullest. */
  tell(tallies: readonly Tally[], kind: keyof Queues, name: string): void {
    const sizes = this.#sizes[kind].get(name)
    if (sizes) for (const tally of tallies) this.#put(tally, sizes)
  }

  tellTotal(tally: Tally): void {
    this.#put(tally, this.#total)
  }

  #put(tally: Tally, { sum, max }: Sizes): void {
    tally.avgQueueSize = Math.max(tally.avgQueueSize, sum / Math.max(1, this.#count))
    tally.maxQueueSize = Math.max(tally.maxQueueSize, max)
  }

  /** What waited for each peer on average; those for which nothing did are not there. */
  averages(): Map<string, number> {
    return new Map([...this.#sizes.peers].map(([peer, { sum }]) => [peer, sum / this.#count]))
  }
}

function put(all: Map<string, Sizes>, name: string, size: number): void {
  const sizes = all.get(name) ?? { sum: 0, max: 0 }
  if (sizes.sum === 0 && all.size >= MAX_NAMES) return
  all.set(name, sizes)
  sizes.sum += size
  sizes.max = Math.max(sizes.max, size)
}
