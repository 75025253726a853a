import assert from 'node:assert/strict'
import { PeerCore } from '../core/peer.ts'
import type { Transport } from '../core/transport.ts'
import { isViaductError } from '../wire/errors.ts'
import { FRAGMENT_BYTES, HEADER_BYTES, TRUSTED_MESSAGE_BYTES } from '../wire/limits.ts'
import { type FarEnd, numberedFrame, Witness } from './farEnd.ts'
import { defaultPeer, type MakeSuitePeer, type SuitePeer } from './suitePeer.ts'
import { numberOf, type SuiteCounts, suiteMethods, suiteService } from './suiteService.ts'

/** What a test framework has to offer; those of vitest, jest, mocha and node:test fit. */
export interface SuiteFramework {
  describe(name: string, body: () => void): void
  it(name: string, run: () => Promise<void>): void
}

/** A fresh link: one end to hold, the other to ask. */
export interface TransportPair {
  readonly near: Transport
  readonly far: FarEnd
  /** Frees what the pair has taken, be it closed or not. */
  dispose?(): unknown
}

export type MakePair = () => TransportPair | Promise<TransportPair>

const { echo, items, take, double, never, ask, back, counts } = suiteMethods

/** What fits into one message of the largest size, with room for what stands around it. */
const LARGEST_BYTES = TRUSTED_MESSAGE_BYTES - 1024
/** More than any transport may hold before it says that it is full. */
const FULL_BY_BYTES = 16 * 1024 * 1024

/**
 * The cases that every transport has to pass, unchanged: the same for memory, ports, sockets, and for one
 * that you write. Cases use no time of their own, but for one deadline of 20 ms.
 *
 * @param makePair makes a link for each case.
 * @param peerOver makes the near peer; default: Viaduct's own. {@link farEnd} takes one too, for the far peer.
 */
export function transportSuite(
  name: string,
  makePair: MakePair,
  { describe, it }: SuiteFramework,
  peerOver: MakeSuitePeer = defaultPeer,
): void {
  const test = (what: string, run: (pair: TransportPair, witness: Witness) => Promise<void>): void =>
    it(what, async () => {
      const pair = await makePair()
      try {
        await run(pair, new Witness())
      } finally {
        await pair.dispose?.()
      }
    })
  const testPeers = (what: string, run: (peer: SuitePeer, far: FarEnd) => Promise<void>): void =>
    test(what, async ({ near, far }) => {
      await far.serve()
      const peer = peerOver(near)
      try {
        await run(peer, far)
      } finally {
        peer.close()
      }
    })

  describe(`transport: ${name}`, () => {
    frameCases(test)
    closeCases(test)
    peerCases(testPeers)
    streamCases(testPeers)
    endCases(testPeers)
  })
}

type Test = (what: string, run: (pair: TransportPair, witness: Witness) => Promise<void>) => void
type TestPeers = (what: string, run: (peer: SuitePeer, far: FarEnd) => Promise<void>) => void

function frameCases(test: Test): void {
  test('frames arrive whole and in order, both ways at once', async ({ near, far }, witness) => {
    witness.attach(near)
    await far.attach()
    await Promise.all([witness.send(near, 0, 1500, 72), far.send(0, 1500, 200)])
    await witness.until(() => witness.frames === 1500)
    await untilSeen(far, (seen) => seen.frames === 1500)
    assert.equal(witness.fault, undefined)
  })

  test('frames of every size arrive, from a bare header to the longest', async ({ near, far }, witness) => {
    witness.attach(near)
    await far.attach()
    const sizes = [0, 8, 64, 1024, 4096, FRAGMENT_BYTES - 8, FRAGMENT_BYTES, 0, FRAGMENT_BYTES]
    for (const [number, size] of sizes.entries()) {
      await witness.send(near, number, 1, size)
      await far.send(number, 1, size)
    }
    await witness.until(() => witness.frames === sizes.length)
    await untilSeen(far, (seen) => seen.frames === sizes.length)
    assert.equal(witness.fault, undefined)
  })

  test('several frames, and a frame that goes on in a tail, are one send', async ({ near, far }, witness) => {
    witness.attach(near)
    await far.attach()
    near.send(joined(numberedFrame(0, 8), numberedFrame(1, 40)))
    const cut = numberedFrame(3, 4096)
    near.send(joined(numberedFrame(2, 0), cut.subarray(0, HEADER_BYTES)), cut.subarray(HEADER_BYTES))
    near.send(numberedFrame(4, 16))
    await untilSeen(far, (seen) => seen.frames === 5)
  })

  test('a view into a larger buffer leaves the rest of it alone', async ({ near, far }, witness) => {
    witness.attach(near)
    await far.attach()
    const large = new Uint8Array(4096).fill(7)
    large.set(numberedFrame(0, 64), 1000)
    near.send(large.subarray(1000, 1000 + HEADER_BYTES + 64))
    const node = Buffer.alloc(HEADER_BYTES + 64)
    node.set(numberedFrame(1, 64))
    near.send(node)
    await untilSeen(far, (seen) => seen.frames === 2)
    assert.equal(large.length, 4096)
    assert.equal(large[999], 7)
    assert.equal(node.length, HEADER_BYTES + 64)
  })

  test('what was sent may be written over once flush says so', async ({ near, far }, witness) => {
    witness.attach(near)
    await far.attach()
    const sent: Uint8Array[] = []
    for (let number = 0; number < 60; number++) {
      const frame = numberedFrame(number, FRAGMENT_BYTES - 64)
      sent.push(frame)
      near.send(frame)
      if (near.flush?.()) for (const done of sent.splice(0)) done.fill(0xee)
    }
    await untilSeen(far, (seen) => seen.frames === 60)
  })

  test('frames that come before attach are kept and come first', async ({ near, far }, witness) => {
    near.send(numberedFrame(0, 8))
    near.send(numberedFrame(1, 2000))
    await far.attach()
    await far.send(0, 3, 24)
    near.send(numberedFrame(2, 8))
    await untilSeen(far, (seen) => seen.frames === 3)
    witness.attach(near)
    await witness.until(() => witness.frames === 3)
    assert.equal(witness.fault, undefined)
  })

  test('a reader that does not read makes send say false; after drain nothing is lost', async (pair, witness) => {
    const { near, far } = pair
    witness.attach(near)
    let sent = 0
    let bytes = 0
    let full = false
    while (!full && bytes < FULL_BY_BYTES) {
      full = !near.send(numberedFrame(sent++, FRAGMENT_BYTES - 64))
      bytes += FRAGMENT_BYTES
    }
    assert.ok(full, `took ${bytes} bytes that nobody read`)
    assert.equal(witness.drains, 0, 'drain came while nobody read')
    await far.attach()
    await witness.until(() => witness.drains > 0)
    await witness.send(near, sent, 300, FRAGMENT_BYTES - 64)
    await untilSeen(far, (seen) => seen.frames === sent + 300)
  })

  test('send says true when little is under way, and drain comes only after a false', async (pair, witness) => {
    const { near, far } = pair
    witness.attach(near)
    await far.attach()
    for (let number = 0; number < 50; number++) assert.ok(near.send(numberedFrame(number, 1000)))
    await untilSeen(far, (seen) => seen.frames === 50)
    assert.equal(witness.drains, 0)
  })
}

function closeCases(test: Test): void {
  test('close lets out what was sent, and is told once at both ends', async ({ near, far }, witness) => {
    witness.attach(near)
    await far.attach()
    for (let number = 0; number < 40; number++) near.send(numberedFrame(number, 4096))
    near.close('GOING_AWAY')
    await witness.until(() => witness.closes.length > 0)
    const seen = await untilSeen(far, ({ closes }) => closes.length > 0)
    assert.equal(seen.frames, 40)
    await rest(far)
    assert.deepEqual(witness.closes, ['GOING_AWAY'])
    assert.equal((await far.seen()).closes.length, 1)
  })

  test('the far end closes', async ({ near, far }, witness) => {
    witness.attach(near)
    await far.attach()
    await far.send(0, 10, 104)
    await far.close('GOING_AWAY')
    await witness.until(() => witness.closes.length > 0)
    await untilSeen(far, ({ closes }) => closes.length > 0)
    await rest(far)
    assert.equal(witness.frames, 10)
    assert.equal(witness.fault, undefined)
    assert.equal(witness.closes.length, 1)
  })

  test('both ends close at once', async ({ near, far }, witness) => {
    witness.attach(near)
    await far.attach()
    const closing = far.close('GOING_AWAY')
    near.close('GOING_AWAY')
    await closing
    await witness.until(() => witness.closes.length > 0)
    await untilSeen(far, ({ closes }) => closes.length > 0)
    await rest(far)
    assert.equal(witness.closes.length, 1)
    assert.equal((await far.seen()).closes.length, 1)
  })

  test('a close before attach is told after it, once, behind the frames', async ({ near, far }, witness) => {
    await far.attach()
    await far.send(0, 5, 64)
    await far.close('GOING_AWAY')
    await untilSeen(far, ({ closes }) => closes.length > 0)
    witness.attach(near)
    await witness.until(() => witness.closes.length > 0)
    await rest(far)
    assert.equal(witness.frames, 5)
    assert.equal(witness.closes.length, 1)
  })

  test('an end that closes itself before attach is told as well', async ({ near, far }, witness) => {
    near.close('GOING_AWAY')
    witness.attach(near)
    await far.attach()
    await witness.until(() => witness.closes.length > 0)
    await untilSeen(far, ({ closes }) => closes.length > 0)
    await rest(far)
    assert.equal(witness.closes.length, 1)
  })

  test('closing twice and sending after it do no harm', async ({ near, far }, witness) => {
    witness.attach(near)
    await far.attach()
    near.send(numberedFrame(0, 8))
    near.close('GOING_AWAY')
    near.close('GOING_AWAY')
    near.send(numberedFrame(1, 8))
    near.send(numberedFrame(2, 8).subarray(0, HEADER_BYTES), numberedFrame(2, 8).subarray(HEADER_BYTES))
    await witness.until(() => witness.closes.length > 0)
    near.send(numberedFrame(3, 8))
    const seen = await untilSeen(far, ({ closes }) => closes.length > 0)
    assert.equal(seen.frames, 1)
    assert.equal(witness.closes.length, 1)
  })

  test('an end that dies without a goodbye closes the other, once', async ({ near, far }, witness) => {
    witness.attach(near)
    await far.attach()
    await far.send(0, 3, 64)
    await witness.until(() => witness.frames === 3)
    await far.kill()
    await witness.until(() => witness.closes.length > 0)
    near.send(numberedFrame(0, 64))
    near.close()
    await turn()
    assert.equal(witness.closes.length, 1)
  })
}

function peerCases(test: TestPeers): void {
  test('calls are answered, many at once', async (peer) => {
    const inputs = Array.from({ length: 300 }, (_, number) => ({ number, text: 'ä'.repeat(number) }))
    assert.deepEqual(await Promise.all(inputs.map((input) => peer.call(echo, input))), inputs)
  })

  test('the far end calls back', async (peer) => {
    peer.handle(back, (input) => ({ back: input }))
    assert.deepEqual(await peer.call(ask, 7), { back: 7 })
  })

  for (const [size, bytes] of [
    ['1 MiB', 1024 * 1024],
    ['10 MiB', LARGEST_BYTES],
  ] as const) {
    test(`${size} of binary go and come back, and small calls pass them`, async (peer) => {
      const sent = new Uint8Array(bytes)
      for (let at = 0; at < bytes; at += 997) sent[at] = at & 0xff
      const large = peer.call(echo, sent, { timeoutMs: 60_000 })
      assert.equal(await peer.call(echo, 'small', { timeoutMs: 60_000 }), 'small')
      const got = await large
      assert.ok(got instanceof Uint8Array)
      assert.equal(Buffer.compare(got, sent), 0)
    })
  }

  test('a signal cancels, and the handler hears of it', async (peer) => {
    await peer.call(echo, 1)
    const controller = new AbortController()
    const call = peer.call(never, 1, { signal: controller.signal })
    await peer.call(echo, 2)
    controller.abort(new Error('enough'))
    assert.equal(await reasonOf(call), 'CANCELLED')
    await untilCounts(peer, ({ aborted }) => aborted === 1)
  })

  test('a deadline passes at both ends', async (peer) => {
    assert.equal(await reasonOf(peer.call(never, 1, { timeoutMs: 20 })), 'DEADLINE_EXCEEDED')
    await untilCounts(peer, ({ aborted }) => aborted === 1)
  })
}

function streamCases(test: TestPeers): void {
  test('a stream arrives whole and in order', async (peer) => {
    const stream = peer.stream(items, { count: 3000, bytes: 300 })
    let count = 0
    for await (const item of stream) assert.deepEqual(numberOf(item), { number: count++, bytes: 300 })
    assert.equal(count, 3000)
    assert.equal(await stream.output, 3000)
  })

  test('items larger than the window are cut and put together', async (peer) => {
    const windowBytes = 64 * 1024
    let count = 0
    for await (const item of peer.stream(items, { count: 4, bytes: 300_000 }, { windowBytes })) {
      assert.deepEqual(numberOf(item), { number: count++, bytes: 300_000 })
    }
    assert.equal(count, 4)
  })

  test('a reader that rests makes the far generator rest', async (peer) => {
    const stream = peer.stream(items, { count: 5000, bytes: 1000 }, { windowBytes: 64 * 1024 })
    const reader = stream[Symbol.asyncIterator]()
    await reader.next()
    await untilCounts(peer, ({ produced }) => produced >= 60)
    for (let look = 0; look < 5; look++) await peer.call(counts, undefined)
    const { produced } = countsFrom(await peer.call(counts, undefined))
    assert.ok(produced <= 68, `${produced} items of 1 kB were made for a window of 64 KiB`)
    let count = 1
    for (let next = await reader.next(); !next.done; next = await reader.next()) count++
    assert.equal(count, 5000)
  })

  test('leaving the loop stops the far generator', async (peer) => {
    for await (const item of peer.stream(items, { count: 1e9, bytes: 100 })) {
      if (numberOf(item).number === 10) break
    }
    await untilCounts(peer, ({ stopped }) => stopped === 1)
  })

  test('an upload arrives whole and in order', async (peer) => {
    const upload = made(2000, 500)
    const answer = await peer.call(take, undefined, { upload, timeoutMs: 60_000 })
    assert.deepEqual(answer, { count: 2000, bytes: 1_000_000, inOrder: true })
  })

  test('an upload of large items arrives', async (peer) => {
    const answer = await peer.call(take, undefined, { upload: made(5, 500_000), timeoutMs: 60_000 })
    assert.deepEqual(answer, { count: 5, bytes: 2_500_000, inOrder: true })
  })

  test('items go both ways at once', async (peer) => {
    let sum = 0
    for await (const item of peer.stream(double, undefined, { upload: upTo(500) })) sum += Number(item)
    assert.equal(sum, 499 * 500)
  })
}

function endCases(test: TestPeers): void {
  test('when the far end dies every call and stream settles', async (peer, far) => {
    const calls = Array.from({ length: 20 }, (_, number) => peer.call(never, number))
    const stream = peer.stream(items, { count: 1e9, bytes: 10 })
    const reader = stream[Symbol.asyncIterator]()
    await reader.next()
    const upload = peer.call(take, undefined, { upload: endless() })
    const reasons = Promise.all([...calls, upload, stream.output].map(reasonOf))
    await peer.call(echo, 1)
    await far.kill()
    assert.deepEqual(new Set(await reasons), new Set(['LINK_LOST']))
    assert.equal(await reasonOf(drainOf(reader)), 'LINK_LOST')
    assert.equal(await reasonOf(peer.call(echo, 1)), 'LINK_LOST')
    await peer.closed
  })

  test('a link that is closed settles what is open', async (peer) => {
    const call = reasonOf(peer.call(never, 1))
    await peer.call(echo, 1)
    peer.close()
    assert.equal(await call, 'LINK_LOST')
    assert.equal(await peer.closed, 'GOING_AWAY')
  })

  test('the far end hears why it was closed', async (peer, far) => {
    await peer.call(echo, 1)
    await far.close('GOING_AWAY')
    await peer.closed
  })

  test('drain lets open calls finish, be their answers large', async (peer) => {
    const answers = Promise.all([
      peer.call(echo, new Uint8Array(3_000_000), { timeoutMs: 60_000 }),
      peer.call(echo, 'small'),
    ])
    await peer.call(echo, 1)
    await peer.drain(60_000)
    const [large, small] = await answers
    assert.ok(large instanceof Uint8Array && large.length === 3_000_000)
    assert.equal(small, 'small')
    assert.equal(peer.isClosed, true)
  })
}

/** A pair of ends for {@link moveSuite}, both in this process. */
export type Ends = readonly [near: Transport, far: Transport]
export type MakePaths = () =>
  | { readonly first: Ends; readonly second: Ends; dispose?(): unknown }
  | Promise<{ readonly first: Ends; readonly second: Ends; dispose?(): unknown }>

/** Cases of a link that changes its path while calls and streams are open, there and back. */
export function moveSuite(name: string, makePaths: MakePaths, { describe, it }: SuiteFramework): void {
  const test = (what: string, run: (near: PeerCore, far: PeerCore) => Promise<void>): void =>
    it(what, async () => {
      const { first, second, dispose } = await makePaths()
      const near = new PeerCore(first[0])
      const far = new PeerCore(first[1])
      suiteService(near)
      suiteService(far)
      near.link.prepare(second[0])
      far.link.prepare(second[1])
      try {
        await run(near, far)
      } finally {
        near.close()
        far.close()
        await dispose?.()
      }
    })
  const readers = (near: PeerCore, far: PeerCore): (() => Promise<void>) => {
    const streams = [near, far].map((peer) => readAll(peer, 800, 3000))
    const uploads = [near, far].map((peer) =>
      peer.call(take, undefined, { upload: made(600, 4000), timeoutMs: 60_000 }),
    )
    const large = [near, far].map((peer) => peer.call(echo, new Uint8Array(700_000), { timeoutMs: 60_000 }))
    return async () => {
      for (const count of await Promise.all(streams)) assert.equal(count, 800)
      for (const answer of await Promise.all(uploads)) {
        assert.deepEqual(answer, { count: 600, bytes: 2_400_000, inOrder: true })
      }
      for (const answer of await Promise.all(large)) assert.ok(answer instanceof Uint8Array)
    }
  }

  describe(`moving: ${name}`, () => {
    test('one direction moves while the other stays', async (near, far) => {
      await near.call(echo, 1)
      const finish = readers(near, far)
      await near.call(echo, 2)
      near.link.move()
      assert.equal(await near.call(echo, 3), 3)
      await finish()
      assert.equal(near.isClosed || far.isClosed, false)
    })

    test('both directions move at once', async (near, far) => {
      await near.call(echo, 1)
      const finish = readers(near, far)
      await near.call(echo, 2)
      near.link.move()
      far.link.move()
      await finish()
      assert.equal(near.isClosed || far.isClosed, false)
    })

    test('there and back, ten times', async (near, far) => {
      const finish = readers(near, far)
      for (let round = 0; round < 10; round++) {
        near.link.move()
        assert.equal(await near.call(echo, round), round)
        far.link.move()
        assert.equal(await far.call(echo, round), round)
        assert.equal(await near.call(echo, round), round)
      }
      await finish()
      assert.equal(near.isClosed || far.isClosed, false)
    })

    test('a link that closes in the middle of a move settles everything', async (near, far) => {
      const calls = [near.call(never, 1), far.call(never, 1)].map(reasonOf)
      await near.call(echo, 1)
      near.link.move()
      near.close()
      assert.deepEqual(await Promise.all(calls), ['LINK_LOST', 'LINK_LOST'])
      await far.closed
    })
  })
}

async function readAll(peer: SuitePeer, count: number, bytes: number): Promise<number> {
  let read = 0
  for await (const item of peer.stream(items, { count, bytes })) {
    assert.deepEqual(numberOf(item), { number: read++, bytes })
  }
  return read
}

async function* made(count: number, bytes: number): AsyncGenerator<unknown, void> {
  for (let number = 0; number < count; number++) yield { number, bytes: new Uint8Array(bytes) }
}

async function* upTo(count: number): AsyncGenerator<number, void> {
  for (let number = 0; number < count; number++) yield number
}

async function* endless(): AsyncGenerator<unknown, void> {
  for (let number = 0; ; number++) yield { number, bytes: new Uint8Array(10) }
}

async function drainOf(reader: AsyncIterator<unknown>): Promise<void> {
  for (let next = await reader.next(); !next.done; next = await reader.next());
}

/** The reason that a promise rejects with; '' when it does not. */
async function reasonOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return ''
  } catch (error) {
    return isViaductError(error) ? error.reason : String(error)
  }
}

async function untilSeen(
  far: FarEnd,
  holds: (seen: Awaited<ReturnType<FarEnd['seen']>>) => boolean,
): Promise<Awaited<ReturnType<FarEnd['seen']>>> {
  for (;;) {
    const seen = await far.seen()
    assert.equal(seen.fault, undefined)
    if (holds(seen)) return seen
    await turn()
  }
}

function countsFrom(value: unknown): SuiteCounts {
  const empty: SuiteCounts = { produced: 0, stopped: 0, aborted: 0 }
  return typeof value === 'object' && value !== null ? { ...empty, ...value } : empty
}

async function untilCounts(peer: SuitePeer, holds: (counts: SuiteCounts) => boolean): Promise<void> {
  while (!holds(countsFrom(await peer.call(counts, undefined)))) await turn()
}

/** Whatever would come twice has come by now. */
async function rest(far: FarEnd): Promise<void> {
  for (let look = 0; look < 3; look++) {
    await turn()
    await far.seen()
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
