/**
 * A whole talk between a peer and a hub over real sockets, whose bytes a process between them hands on in
 * pieces: cut at every place, each piece read before the next one is written.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { untyped } from '../../src/core/method.ts'
import { PeerCore } from '../../src/core/peer.ts'
import type { Transport } from '../../src/core/transport.ts'
import { nodeCrypto } from '../../src/host/join.ts'
import { readProcess } from '../../src/host/processInfo.ts'
import { HubCore } from '../../src/hub/core.ts'
import { memoryTransports } from '../../src/transports/memory.ts'
import { openSocket } from '../../src/transports/socket.ts'
import { readU32 } from '../../src/wire/frame.ts'
import * as AT from '../../src/wire/headerAt.ts'
import * as KIND from '../../src/wire/kind.ts'
import { joinOver, refusal } from '../support/hubRig.ts'

const echo = untyped('t.echo')
const list = untyped('t.list', 'stream')
const sum = untyped('t.sum', 'call', true)
const hang = untyped('t.hang')
const work = untyped('t.work')
const news = untyped('t.news', 'topic')
const key = new Uint8Array(32).fill(7)
const everything = { call: ['t.*'], publish: ['t.*'], subscribe: ['t.*'] }
const splitterPath = fileURLToPath(new URL('fixtures/splitter.mjs', import.meta.url))

/** Tells the process between them when a piece was read. */
class Splitter {
  readonly #process: ChildProcess
  readonly #folder: string
  #ends: Readonly<Record<string, Socket>> = {}
  /** Bytes that were handed on in the present talk, by the side that read them. */
  readonly passed: Record<string, number> = {}

  constructor(folder: string) {
    this.#folder = folder
    this.#process = fork(splitterPath, [join(folder, 'l'), join(folder, 'r')])
    this.#process.on('message', (message) => {
      if (typeof message !== 'object' || message === null || !('side' in message) || !('total' in message))
        return
      this.#read(String(message.side), Number(message.total))
    })
  }

  async ready(): Promise<void> {
    await once(this.#process, 'message')
  }

  #read(side: string, total: number): void {
    const end = this.#ends[side]
    if (!end || (end.bytesRead < total && !end.destroyed)) setImmediate(() => this.#read(side, total))
    else {
      this.passed[side] = total
      if (this.#process.connected) this.#process.send({ side }, () => {})
    }
  }

  /** Both ends of a new way, cut there. */
  async way(every: number, phase: number): Promise<{ left: Transport; right: Transport }> {
    const set = new Promise<void>((resolve) => {
      const look = (message: object) => {
        if (!('set' in message)) return
        this.#process.off('message', look)
        resolve()
      }
      this.#process.on('message', look)
    })
    this.#process.send({ every, phase })
    await set
    const left = openSocket({ path: join(this.#folder, 'l') })
    const right = openSocket({ path: join(this.#folder, 'r') })
    this.#ends = { left: left.socket, right: right.socket }
    return { left: left.transport, right: right.transport }
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal)
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  async end(): Promise<void> {
    const gone = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await gone
  }
}

/** A transport that tells of the kinds of frames that come and go over it. */
function told(inner: Transport, kinds: Set<number>): Transport {
  const look = (frames: Uint8Array): void => {
    for (let at = 0; at < frames.length; at += readU32(frames, at + AT.bytes))
      kinds.add(frames[at + AT.kind] ?? -1)
  }
  return {
    send: (frames, tail) => {
      look(frames)
      return tail ? inner.send(frames, tail) : inner.send(frames)
    },
    close: (reason) => inner.close(reason),
    attach: (events) =>
      inner.attach({
        ...(events.keeps === undefined ? {} : { keeps: events.keeps }),
        frame: (frames) => {
          look(frames)
          events.frame(frames)
        },
        drain: () => events.drain(),
        close: (reason) => events.close(reason),
      }),
    pause: () => inner.pause?.(),
    resume: () => inner.resume?.(),
  }
}

async function* upTo(count: number): AsyncGenerator<number> {
  for (let item = 0; item < count; item++) yield item
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

function serve(peer: PeerCore): void {
  peer.handle(echo, (input, call) => {
    call.progress('half')
    return input
  })
  peer.handle(list, async function* (input) {
    for await (const item of upTo(Number(input))) yield 'x'.repeat(item % 50)
  })
  peer.handle(sum, async (_, call) => {
    let total = 0
    for await (const item of call.upload) total += Number(item)
    return total
  })
  peer.handle(
    hang,
    (_, call) =>
      new Promise((__, reject) => call.signal.addEventListener('abort', () => reject(call.signal.reason))),
  )
}

let folder: string
let splitter: Splitter
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vp-'))
  splitter = new Splitter(folder)
  await splitter.ready()
})
afterAll(async () => {
  await splitter.end()
  rmSync(folder, { recursive: true, force: true })
})

interface Meeting {
  readonly hub: HubCore
  readonly main: PeerCore
  readonly peer: PeerCore
  readonly kinds: Set<number>
}

/** A hub, a peer in its process, and one that joins it by a key over the cut way. */
async function meet(every: number, phase: number): Promise<Meeting> {
  const kinds = new Set<number>()
  const hub = new HubCore({
    clock: systemClock,
    crypto: nodeCrypto,
    rules: { main: everything, guest: everything },
    pair: () => memoryTransports(),
    makePeer: (transport, options) => new PeerCore(transport, options),
    credential: (id) => ({ identity: { id, type: 'guest' }, key }),
  })
  const main = hub.local('main', 'main')
  serve(main)
  const { left, right } = await splitter.way(every, phase)
  hub.accept(right)
  const peer = joinOver(told(left, kinds), systemClock, { id: 'guest-1', key })
  serve(peer)
  return { hub, main, peer, kinds }
}

/** Every kind of frame that two ends of this package say to each other over one path. */
async function talk({ hub, main, peer }: Meeting, bytes: number): Promise<void> {
  const patient = { timeoutMs: 30_000 }
  const to = peer.to({ id: 'main' })
  const progress: unknown[] = []
  const value = { text: 'ä€😀', fill: new Uint8Array(bytes).fill(3) }
  const answer = await to.call(echo, value, { ...patient, onProgress: (seen) => progress.push(seen) })
  expect(isDeepStrictEqual(answer, value)).toBe(true)
  expect(progress).toEqual(['half'])
  expect(await collect(to.stream(list, 60, { windowBytes: 65_600 }))).toHaveLength(60)
  expect(await to.call(sum, undefined, { ...patient, upload: upTo(20) })).toBe(190)
  expect(await refusal(to.call(work, 1, patient))).toMatchObject({
    reason: 'METHOD_NOT_FOUND',
    fate: 'not-sent',
  })
  const abort = new AbortController()
  const hanging = refusal(to.call(hang, 1, { signal: abort.signal }))
  expect(await to.call(echo, 1, patient)).toBe(1)
  abort.abort()
  expect(await hanging).toMatchObject({ reason: 'CANCELLED' })
  // The other direction: the hub opens a route of its own towards the peer, and drops it when its source goes.
  const source = hub.local('second', 'main')
  expect(await source.to({ id: 'guest-1' }).call(echo, 'back', patient)).toBe('back')
  source.close()
  const events = peer.subscribe(news)
  await events.ready
  main.publish(news, 'event')
  for await (const event of events) {
    expect(event).toBe('event')
    break
  }
  expect(await peer.ping()).toBeGreaterThan(0)
  expect(await main.to({ id: 'guest-1' }).call(echo, 'last', patient)).toBe('last')
  await peer.drain()
  expect(await peer.closed).toBe('GOING_AWAY')
  hub.close()
}

/** All kinds but MOVE, which wants two paths, NOOP, which is a call taken back, and those not built yet. */
const KINDS = [
  KIND.PREAMBLE,
  KIND.HELLO,
  KIND.PROOF,
  KIND.WELCOME,
  KIND.PING,
  KIND.PONG,
  KIND.GOAWAY,
  KIND.OPEN,
  KIND.ROUTE,
  KIND.DROP,
  KIND.CALL,
  KIND.ITEM,
  KIND.END,
  KIND.ERROR,
  KIND.CREDIT,
  KIND.CANCEL,
  KIND.PROGRESS,
]

describe('a way that cuts', () => {
  it('every byte from the next: nothing changes', async () => {
    const meeting = await meet(1, 0)
    await talk(meeting, 100)
    expect([...meeting.kinds].sort((one, other) => one - other)).toEqual(KINDS)
  })

  it('at every place, one after the other: nothing changes', async () => {
    // Longer than a header, so that pieces hold the end of a frame and the beginning of the next one.
    const every = 61
    for (let phase = 0; phase < every; phase++) await talk(await meet(every, phase), 100)
  })

  it('fragments as well', async () => {
    const every = 4099
    for (let phase = 1; phase < every; phase += 1024) {
      const meeting = await meet(every, phase)
      await talk(meeting, 150_000)
      expect(meeting.kinds).toContain(KIND.FRAGMENT)
      expect(splitter.passed.left).toBeGreaterThan(150_000)
    }
  })
})

describe('a way that stands still', () => {
  it.skipIf(process.platform !== 'linux')(
    'makes senders rest, and loses nothing when it goes on',
    async () => {
      const { hub, peer } = await meet(Number.MAX_SAFE_INTEGER, 0)
      const to = peer.to({ id: 'main' })
      expect(await to.call(echo, 'ready')).toBe('ready')
      let taken = 0
      async function* upload() {
        for (let item = 0; item < 5_000; item++) {
          taken++
          yield item
        }
      }
      splitter.signal('SIGSTOP')
      while (readProcess(splitter.pid)?.state !== 'T') await new Promise(setImmediate)
      const patient = { timeoutMs: 60_000 }
      const fill = new Uint8Array(100_000)
      const total = to.call(sum, undefined, { ...patient, upload: upload() })
      // What the smallest window takes is all that may be on its way.
      while (taken < 1_000) await new Promise(setImmediate)
      const calls = Promise.all(Array.from({ length: 40 }, () => to.call(echo, fill, patient)))
      const items = collect(to.stream(list, 2_000, patient))
      await new Promise((resolve) => setTimeout(resolve, 200))
      const rested = taken
      expect(rested).toBeLessThan(2_500)
      await new Promise((resolve) => setTimeout(resolve, 100))
      expect(taken).toBe(rested)
      splitter.signal('SIGCONT')
      for (const answer of await calls) expect(isDeepStrictEqual(answer, fill)).toBe(true)
      expect(await total).toBe((5_000 * 4_999) / 2)
      expect(await items).toHaveLength(2_000)
      peer.close()
      hub.close()
    },
  )
})
