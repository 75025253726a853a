import { type Method, untyped } from '../core/method.ts'
import type { SuitePeer } from './suitePeer.ts'

const duplex: Method = untyped('suite.double', 'stream', true)

/** What the far peer of the conformance suite serves. */
export const suiteMethods = {
  /** Answers with what it was given. */
  echo: untyped('suite.echo'),
  /** `{ count, bytes }` → so many numbered items, each with so many bytes. */
  items: untyped('suite.items', 'stream'),
  /** Takes an upload; answers with the count and bytes of its items, and whether they came in order. */
  take: untyped('suite.take', 'call', true),
  /** Answers each uploaded number with its double. */
  double: duplex,
  /** Never answers; notes that its signal fired. */
  never: untyped('suite.never'),
  /** Calls `suite.back` of the caller with its input, and answers with the answer. */
  ask: untyped('suite.ask'),
  back: untyped('suite.back'),
  /** What has happened at this end. */
  counts: untyped('suite.counts'),
} as const

export interface SuiteCounts {
  readonly produced: number
  readonly stopped: number
  readonly aborted: number
}

/** Serves {@link suiteMethods} at a peer. */
export function suiteService(peer: SuitePeer): void {
  let produced = 0
  let stopped = 0
  let aborted = 0
  const { echo, items, take, double, never, ask, back, counts } = suiteMethods
  peer.handle(echo, (input) => input)
  peer.handle(items, async function* (input) {
    const { count, bytes } = numbers(input)
    try {
      for (let number = 0; number < count; number++) {
        produced++
        yield { number, bytes: new Uint8Array(bytes).fill(number) }
      }
      return produced
    } finally {
      stopped++
    }
  })
  peer.handle(take, async (_input, call) => {
    let taken = 0
    let bytes = 0
    let inOrder = true
    for await (const item of call.upload) {
      const found = numberOf(item)
      if (found.number !== taken) inOrder = false
      bytes += found.bytes
      taken++
    }
    return { count: taken, bytes, inOrder }
  })
  peer.handle(double, async function* (_input, call) {
    for await (const item of call.upload) yield Number(item) * 2
  })
  peer.handle(
    never,
    (_input, call) =>
      new Promise((_, reject) => {
        call.signal.addEventListener('abort', () => {
          aborted++
          reject(call.signal.reason)
        })
      }),
  )
  peer.handle(ask, (input) => peer.call(back, input))
  peer.handle(counts, (): SuiteCounts => ({ produced, stopped, aborted }))
}

function numbers(input: unknown): { count: number; bytes: number } {
  if (typeof input !== 'object' || input === null) return { count: 0, bytes: 0 }
  return {
    count: 'count' in input ? Number(input.count) : 0,
    bytes: 'bytes' in input ? Number(input.bytes) : 0,
  }
}

/** The number and size of an item as `suite.items` makes them. */
export function numberOf(item: unknown): { number: number; bytes: number } {
  if (typeof item !== 'object' || item === null || !('number' in item) || !('bytes' in item)) {
    return { number: -1, bytes: 0 }
  }
  return { number: Number(item.number), bytes: item.bytes instanceof Uint8Array ? item.bytes.length : 0 }
}
