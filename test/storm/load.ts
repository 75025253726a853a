import { setTimeout as sleep } from 'node:timers/promises'
import { isViaductError, type Peer, type Target } from 'viaduct'
import { storm, type Tick } from './contract.ts'
import { type Ledger, outcomeOf } from './ledger.ts'
import type { Random } from './random.ts'

/** The deadline of most calls, and the longest silence of a stream. */
const TIMEOUT_MS = 2_000
const PATIENCE_MS = 15_000
/** Items of the longest streams and uploads: with their headers more than one window. */
const ITEMS = 9_000
const BYTES = 120_000

export interface LoadOptions {
  readonly peer: () => Peer
  readonly ledger: Ledger
  readonly random: Random
  readonly targets: readonly Target[]
  /** How many callers go on at once, each with one call at a time. */
  readonly callers: number
  /** The longest rest between two calls of one caller. */
  readonly restMs: number
  /** Told of each error that the end of a target or of the link made, when it settles. */
  readonly onLost?: (target: Target, reason: string) => void
}

/** Callers that go on until they are stopped. */
export class Load {
  readonly #options: LoadOptions
  readonly #running: Promise<void>[] = []
  #stopped = false
  /** Answers with something else than what was asked for. */
  readonly wrong: string[] = []

  constructor(options: LoadOptions) {
    this.#options = options
    for (let caller = 0; caller < options.callers; caller++) this.#running.push(this.#run())
  }

  /** Settles when every call has, or after a time that no call may take: the ledger knows which those are. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.race([Promise.all(this.#running), sleep(PATIENCE_MS)])
  }

  async #run(): Promise<void> {
    const { random, restMs, peer } = this.#options
    while (!this.#stopped) {
      await this.#one()
      // Without a link every call fails at once: it comes back in a while, and nobody is helped by a full log.
      await sleep(peer().isConnected ? random.below(restMs) : 60)
    }
  }

  async #one(): Promise<void> {
    const { ledger, random, targets } = this.#options
    const target = targets[random.below(targets.length)]
    if (!target) throw new Error('nobody to call')
    const n = ledger.begin()
    const die = random.below(100)
    if (die < 4) return this.#mark(n, target)
    const abort = new AbortController()
    // Some have hardly any time, some are called off: what they say of their fate must be as true.
    const hurried = random.below(100) < 10
    const timeoutMs = hurried ? 1 + random.below(20) : TIMEOUT_MS
    if (random.below(100) < 5) setTimeout(() => abort.abort(), random.below(15)).unref()
    const options = { timeoutMs, signal: abort.signal }
    const started = performance.now()
    let outcome = 'ok'
    // The deadline of a stream bounds its opening alone; its silences are bounded after that.
    let bounded = true
    try {
      if (die < 64) await this.#note(n, target, options)
      else {
        bounded = false
        await this.#items(n, target, die, options)
      }
    } catch (error) {
      outcome = outcomeOf(error)
      const lost = isViaductError(error) && error.fate === 'unknown' && LOST.has(error.reason)
      if (lost) this.#options.onLost?.(target, error.reason)
    }
    ledger.settle(n, outcome, bounded ? performance.now() - started - timeoutMs : 0)
  }

  #mark(n: string, target: Target): void {
    const taken = this.#options.peer().notify(storm.mark, { n }, target)
    this.#options.ledger.settle(n, taken ? 'taken' : 'refused', 0)
  }

  async #note(n: string, target: Target, options: Options): Promise<void> {
    const { peer, random } = this.#options
    const waitMs = random.below(3) === 0 ? random.below(40) : 0
    const bytes = random.below(20) === 0 ? random.below(BYTES) : 0
    const got = await peer().client(storm, target).note({ n, waitMs, bytes }, options)
    if (got.n !== n || got.fill.length !== bytes) this.wrong.push(`${n}: ${got.n}, ${got.fill.length}`)
  }

  async #items(n: string, target: Target, die: number, options: Options): Promise<void> {
    const { peer, random } = this.#options
    const items = random.below(25) === 0 ? random.below(ITEMS) : random.below(100)
    const client = peer().client(storm, target)
    const silent = { ...options, idleTimeoutMs: TIMEOUT_MS }
    if (die < 80) {
      const stream = client.count({ n, items }, silent)
      let expected = 0
      for await (const item of stream) if (item !== expected++) this.wrong.push(`${n}: ${item} of a stream`)
      const output = await stream.output
      if (output !== items || expected !== items)
        this.wrong.push(`${n}: ${expected} items, ${output} told, of ${items}`)
    } else if (die < 90) {
      const sum = await client.sum({ n }, { ...options, upload: upTo(items) })
      if (sum !== (items * (items - 1)) / 2) this.wrong.push(`${n}: a sum of ${sum}`)
    } else {
      const stream = client.twice({ n }, { ...silent, upload: upTo(items) })
      let expected = 0
      for await (const item of stream)
        if (item !== 2 * expected++) this.wrong.push(`${n}: ${item} of both ways`)
      const output = await stream.output
      if (output !== items || expected !== items)
        this.wrong.push(`${n}: ${expected} both ways, ${output} told, of ${items}`)
    }
  }
}

interface Options {
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

const LOST: ReadonlySet<string> = new Set(['TARGET_UNAVAILABLE', 'LINK_LOST'])

async function* upTo(count: number): AsyncGenerator<number> {
  for (let item = 0; item < count; item++) yield item
}

/** Reads ticks and checks promise 3: in order, none twice, and each that is missing was counted as dropped. */
export class Watch {
  readonly faults: string[] = []
  seen = 0
  readonly #done: Promise<void>
  readonly #cancel: () => void

  constructor(peer: Peer) {
    const events = peer.subscribe(storm.tick)
    this.#cancel = () => events.cancel()
    this.#done = this.#read(peer, events)
  }

  async #read(peer: Peer, events: ReturnType<Peer['subscribe']>): Promise<void> {
    const last = new Map<string, { at: number; session: string; dropped: bigint }>()
    try {
      for await (const data of events) {
        if (!isTick(data)) continue
        const { life, at } = data
        const now = { at, session: peer.info.session, dropped: events.dropped }
        const before = last.get(life)
        this.seen++
        if (before && at <= before.at) this.faults.push(`${life}: ${at} after ${before.at}`)
        if (before?.session === now.session) {
          const missing = BigInt(at - before.at - 1)
          const counted = now.dropped - before.dropped
          if (missing > counted) this.faults.push(`${life}: ${missing} missing, ${counted} dropped`)
        }
        last.delete(life)
        last.set(life, now)
        // Lives that ended long ago need no memory.
        for (const old of last.keys()) {
          if (last.size <= 64) break
          last.delete(old)
        }
      }
    } catch (error) {
      if (!isViaductError(error)) throw error
    }
  }

  async stop(): Promise<void> {
    this.#cancel()
    await this.#done
  }
}

function isTick(data: unknown): data is Tick {
  return typeof data === 'object' && data !== null && 'life' in data && 'at' in data
}
