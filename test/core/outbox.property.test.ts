import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fifo, Outbox } from '../../src/core/outbox.ts'
import { Sender } from '../../src/core/sender.ts'
import * as FLAG from '../../src/wire/flag.ts'
import { padded, readU32, writeHeader } from '../../src/wire/frame.ts'
import * as AT from '../../src/wire/headerAt.ts'
import * as KIND from '../../src/wire/kind.ts'
import { HEADER_BYTES } from '../../src/wire/limits.ts'

const RUNS = 10_000
const IDS = 6

type Step =
  | { readonly do: 'small'; readonly id: number; readonly words: number; readonly eager: boolean }
  | { readonly do: 'tail'; readonly words: number }
  | { readonly do: 'large'; readonly id: number; readonly bytes: number }
  | { readonly do: 'item'; readonly id: number; readonly bytes: number }
  | { readonly do: 'credit'; readonly id: number; readonly bytes: number }
  | { readonly do: 'drain' | 'turn' | 'cork' }

const id = fc.nat(IDS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('small'), id, words: fc.nat(60), eager: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('tail'), words: fc.nat(600) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('large'), id, bytes: fc.nat(100_000) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('item'), id, bytes: fc.nat(50_000) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('credit'), id, bytes: fc.nat(90_000) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('drain', 'turn', 'cork') }) },
)

/** What has come of one exchange: messages in order, each by its number and its bytes. */
interface Arrived {
  readonly messages: string[]
  open: { number: number; left: number } | undefined
  itemBytes: number
}

/** Runs a script against an outbox whose transport is full after so many writes. */
function run(steps: readonly Step[], takes: readonly number[]): void {
  const turns: (() => void)[] = []
  const clock = {
    now: () => 0,
    after: () => () => {},
    afterTurn: (callback: () => void) => turns.push(callback),
  }
  const arrived: Arrived[] = Array.from({ length: IDS + 1 }, () => ({
    messages: [],
    open: undefined,
    itemBytes: 0,
  }))
  const expected: string[][] = Array.from({ length: IDS + 1 }, () => [])
  const granted: number[] = Array(IDS).fill(0)
  let written = 0
  let room = takes[0] ?? 1
  let round = 0

  const outbox: Outbox = new Outbox((bytes, tail) => {
    written += bytes.length + (tail?.length ?? 0)
    const whole = tail ? Buffer.concat([bytes, tail]) : bytes
    for (let at = 0; at < whole.length; at += readU32(whole, at)) take(whole, at)
    return --room > 0
  }, clock)
  const senders = Array.from(
    { length: IDS },
    (_, number) => new Sender(outbox, laneOf(number), number + 1, 0),
  )

  function take(bytes: Uint8Array, at: number): void {
    const number = readU32(bytes, at + AT.id) - 1
    const one = arrived[number] as Arrived
    const kind = bytes[at + AT.kind] ?? 0
    const flags = bytes[at + AT.flags] ?? 0
    const payload = readU32(bytes, at + AT.payloadBytes)
    const here = readU32(bytes, at) - HEADER_BYTES
    expect(flags & FLAG.LANE).toBe(number === IDS ? 2 : laneOf(number))
    if (kind !== KIND.FRAGMENT) {
      expect(one.open).toBeUndefined()
      one.open = { number: readU32(bytes, at + AT.route), left: payload }
    }
    const { open } = one
    if (!open) throw new Error('a fragment of nothing')
    const size = Math.min(open.left, kind === KIND.FRAGMENT ? payload : here)
    if (kind === KIND.ITEM || items.has(open.number)) {
      one.itemBytes += size
      expect(one.itemBytes).toBeLessThanOrEqual(granted[number] ?? 0)
    }
    open.left -= size
    expect((flags & FLAG.MORE) === 0).toBe(open.left === 0)
    if (open.left === 0) {
      one.messages.push(`${open.number}`)
      one.open = undefined
    }
  }

  const items = new Set<number>()
  let count = 0
  const add = (number: number, kind: number, bytes: number): void => {
    const message = ++count
    if (kind === KIND.ITEM) items.add(message)
    expected[number]?.push(`${message}`)
    senders[number]?.add({
      kind,
      flags: laneOf(number),
      method: 0,
      route: message,
      timeLeft: 0,
      window: 0,
      headBytes: 0,
      segments: 0,
      parts: [new Uint8Array(bytes)],
      payloadBytes: bytes,
    })
  }
  const small = (number: number, lane: number, words: number, eager: boolean, tailWords = 0): void => {
    const bytes = HEADER_BYTES + words * 8
    const at = outbox.room(bytes)
    const payload = (words + tailWords) * 8
    writeHeader(
      outbox.slab,
      at,
      bytes + tailWords * 8,
      KIND.CALL,
      lane,
      0,
      number + 1,
      ++count,
      0,
      0,
      payload,
      0,
      0,
    )
    expected[number]?.push(`${count}`)
    const tail = tailWords > 0 ? new Uint8Array(tailWords * 8) : undefined
    outbox.commit(at, at + bytes, lane, eager, tail, number === IDS ? fifo : undefined)
  }
  // A queue of its own, as a hub has one for each source.
  const fifo = new Fifo()

  const drain = (): void => {
    room = takes[++round % takes.length] ?? 1
    outbox.drained()
  }
  const turn = (): void => {
    for (const callback of turns.splice(0)) callback()
  }
  for (const one of steps) {
    if (one.do === 'small') {
      // Behind a message that is being cut, an exchange's frames wait with it.
      if (senders[one.id]?.busy) add(one.id, KIND.END, one.words * 8)
      else if (!outbox.congested) small(one.id, laneOf(one.id), one.words, one.eager)
      else add(one.id, KIND.END, one.words * 8)
    } else if (one.do === 'tail') small(IDS, 2, 1, false, one.words)
    else if (one.do === 'large') add(one.id, KIND.END, padded(one.bytes))
    else if (one.do === 'item') add(one.id, KIND.ITEM, one.bytes)
    else if (one.do === 'credit') {
      granted[one.id] = (granted[one.id] ?? 0) + one.bytes
      senders[one.id]?.grant(one.bytes)
    } else if (one.do === 'drain') drain()
    else if (one.do === 'turn') turn()
    else outbox.cork(() => small(IDS, 2, 2, true))
  }
  senders.forEach((sender, number) => {
    granted[number] = Number.POSITIVE_INFINITY
    sender.grant(1e9)
  })
  for (let more = 0; more < 2000 && (outbox.congested || turns.length > 0); more++) {
    turn()
    drain()
  }
  room = Number.POSITIVE_INFINITY
  turn()
  outbox.drained()
  turn()
  expect(arrived.map(({ messages }) => messages)).toEqual(expected)
  expect([outbox.queuedBytes, outbox.queuedMessages, outbox.heldBytes]).toEqual([0, 0, 0])
  expect([fifo.bytes, fifo.messages]).toEqual([0, 0])
  expect(outbox.bytesWritten).toBe(written)
  expect(senders.some(({ busy }) => busy)).toBe(false)
}

function laneOf(number: number): number {
  return 1 + (number % 3)
}

test('order holds per exchange, nothing is lost or doubled, credit is kept, and the counts return to 0', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
      (steps, takes) => run(steps, takes),
    ),
    { numRuns: RUNS },
  )
})
