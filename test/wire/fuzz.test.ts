/**
 * Structure-aware fuzzing: frames of the vectors and of random fields, changed and put in any order. Nothing
 * throws, nothing takes long, memory stays, and behind a hub nobody else notices. `FUZZ_SEED` replays a run.
 */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { TRUSTED_LIMITS } from '../../src/core/bounds.ts'
import { untyped } from '../../src/core/method.ts'
import { BodyEncoder, decodeBody } from '../../src/wire/body.ts'
import { makeDictionary } from '../../src/wire/dictionary.ts'
import { isViaductError } from '../../src/wire/errors.ts'
import * as FLAG from '../../src/wire/flag.ts'
import { padded, readU16, readU32, writeU16, writeU32 } from '../../src/wire/frame.ts'
import { Framer } from '../../src/wire/framer.ts'
import * as AT from '../../src/wire/headerAt.ts'
import * as KIND from '../../src/wire/kind.ts'
import { type MakePeer, page, type RigPeer, whole } from '../core/rig.ts'
import { TurnClock } from '../support/clock.ts'
import { frameFrom, joinBytes, listOf, makeFrame, objectOf, textOf } from '../support/frames.ts'
import { HubRig, PREAMBLE, type RawPeer } from '../support/hubRig.ts'
import { processorMs } from '../support/processor.ts'
import { ScriptedTransport } from '../support/scriptedTransport.ts'
import { fromHex } from './notation.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_260_101) >>> 0
const MAX_MS = 50
/** What is made anew for each link, and how much it is given. */
const PEERS: readonly { readonly name: string; readonly make: MakePeer; readonly inputs: number }[] = [
  { name: 'a peer', make: whole, inputs: 400_000 },
  { name: 'a peer of pages', make: page, inputs: 150_000 },
]
const HUB_INPUTS = 150_000
const BODY_INPUTS = 450_000

function load(name: string): Record<string, unknown> {
  return objectOf(JSON.parse(readFileSync(new URL(`../../vectors/${name}`, import.meta.url), 'utf8')))
}

class Random {
  #state: number

  constructor(from: number) {
    this.#state = from || 1
  }

  next(): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x >>> 0
    return this.#state
  }

  below(limit: number): number {
    return this.next() % limit
  }

  of<T>(list: readonly T[], otherwise: T): T {
    return list[this.below(list.length)] ?? otherwise
  }
}

const EDGES = [
  0,
  1,
  7,
  8,
  31,
  32,
  40,
  63,
  64,
  255,
  4096,
  32767,
  32768,
  32800,
  65535,
  0xfffff,
  0x100000,
  2 ** 31,
  2 ** 32 - 1,
]
const KINDS: readonly number[] = Object.values(KIND)
const EXCHANGE = KINDS.filter((kind) => kind >= KIND.CALL && kind !== KIND.FRAGMENT)

/** Frames to begin from: all that the vectors have, but those that only a start of a link takes. */
const corpus: Uint8Array[] = []
for (const { frame } of listOf(load('frames.json').frames).map(objectOf)) corpus.push(frameFrom(frame))
for (const { steps } of listOf(load('talks.json').talks).map(objectOf)) {
  for (const step of listOf(steps).map(objectOf)) {
    const described = step.in ?? step.out
    if (described === undefined || objectOf(Array.isArray(described) ? described[0] : described).bodyHas)
      continue
    for (const one of Array.isArray(described) ? described : [described]) corpus.push(frameFrom(one))
  }
}
const small = corpus.filter((frame) => frame.length <= 1024)
// Frames that end a link at once come seldom, or most of the time would go into new links.
const fatal = small.filter((frame) => (frame[AT.kind] ?? 0) < KIND.PING || frame[AT.kind] === KIND.MOVE)
for (const { at, hex } of listOf(load('bad-frames.json').frames).map(objectOf))
  if (at === undefined) fatal.push(fromHex(textOf(hex)))
const usual = small.filter((frame) => !fatal.includes(frame))

function randomFrame(random: Random): Uint8Array {
  const payload = new Uint8Array(random.below(4) === 0 ? random.below(200) : random.below(12))
  for (let at = 0; at < payload.length; at++) payload[at] = random.next()
  const number = (): number => (random.below(2) === 0 ? random.of(EDGES, 0) : random.below(8))
  const frame = makeFrame({
    kind: random.below(32) === 0 ? random.below(256) : random.of(EXCHANGE, KIND.CALL),
    flags: random.below(256) & (random.below(8) === 0 ? 0xff : ~FLAG.MORE),
    method: random.below(3),
    id: random.below(4) === 0 ? number() : 0x00100000 + random.below(6),
    route: random.below(4),
    timeLeft: number(),
    window: number(),
    payload,
    headBytes: random.below(3) === 0 ? number() & 0xffff : 0,
    segments: random.below(5) === 0 ? number() & 0xffff : 0,
  })
  if (random.below(24) === 0) writeU32(frame, AT.payloadBytes, number())
  return frame
}

/** One change to a copy of a frame: a bit, a field, a length that lies, an end that is missing. */
function changed(random: Random, from: Uint8Array): Uint8Array {
  let frame = from.slice()
  for (let changes = random.below(3); changes > 0; changes--) {
    switch (random.below(8)) {
      case 0: {
        const at = random.below(frame.length)
        frame[at] = (frame[at] ?? 0) ^ (1 << random.below(8))
        break
      }
      case 1:
        frame[4 + random.below(28)] = random.next()
        break
      case 2:
        writeU32(
          frame,
          random.of([AT.id, AT.route, AT.timeLeft, AT.window, AT.payloadBytes], AT.id),
          random.of(EDGES, 0),
        )
        break
      case 3:
        writeU16(
          frame,
          random.of([AT.method, AT.headBytes, AT.segments], AT.method),
          random.of(EDGES, 0) & 0xffff,
        )
        break
      case 4:
        frame[AT.kind] = random.of(EXCHANGE, KIND.CALL)
        break
      case 5:
        frame[AT.flags] = (frame[AT.flags] ?? 0) ^ random.of(Object.values(FLAG), FLAG.ANSWER)
        break
      case 6: {
        const bytes = 32 + 8 * random.below(6)
        const cut = new Uint8Array(bytes)
        cut.set(frame.subarray(0, bytes))
        writeU32(cut, AT.bytes, bytes)
        frame = cut
        break
      }
      default:
        writeU32(frame, AT.id, 0x00100000 + random.below(6))
    }
  }
  return frame
}

function input(random: Random): Uint8Array {
  const one = (): Uint8Array => {
    if (random.below(3) === 0) return randomFrame(random)
    const pool = random.below(64)
    return changed(random, random.of(pool === 0 ? corpus : pool === 1 ? fatal : usual, PREAMBLE))
  }
  return random.below(4) === 0 ? joinBytes(one(), one(), one()) : one()
}

/** How long it took. What the scheduler may have taken away is tried again, and counted by the processor's time. */
class Watch {
  worst = 0
  over: string[] = []

  time(bytes: Uint8Array, run: () => void, again: () => void): void {
    const began = performance.now()
    run()
    let took = performance.now() - began
    for (let retry = 0; took > MAX_MS && retry < 3; retry++) {
      const from = processorMs()
      again()
      took = Math.min(took, processorMs() - from)
    }
    if (took > this.worst) this.worst = took
    if (took > MAX_MS) this.over.push(Buffer.from(bytes.subarray(0, 200)).toString('hex'))
  }
}

const OPENING = joinBytes(
  PREAMBLE,
  frameFrom({ kind: 'OPEN', body: { methods: ['m', 's', 'up'].map((name, index) => [index, name, '']) } }),
)

class Target {
  readonly clock = new TurnClock()
  readonly transport = new ScriptedTransport()
  readonly core: RigPeer
  readonly framer: Framer
  alive = true
  /** Promises that it has given and not settled. */
  pending = 0

  constructor(make: MakePeer, hub: boolean) {
    this.core = make(this.transport, {
      clock: this.clock,
      hub,
      limits: { ...TRUSTED_LIMITS, exchanges: 64, messageBytes: 1024 * 1024, queueBytes: 4 * 1024 * 1024 },
    })
    this.framer = new Framer((run) => this.transport.receive(run))
    this.core.handle(untyped('m'), (given) => given)
    this.core.handle(untyped('s', 'stream'), async function* () {
      yield 1
      return 2
    })
    this.core.handle(untyped('up', 'call', true), () => new Promise(() => {}))
    for (const name of ['m', 's', 'up']) this.#hold(this.core.call(untyped(name), 1, { timeoutMs: 0 }))
    const stream = this.core.stream(untyped('s', 'stream'), 1, { timeoutMs: 0 })
    this.#hold(stream.output)
    this.#hold(this.#read(stream))
    this.#hold(this.core.ping())
    this.framer.push(OPENING)
    this.clock.turns()
  }

  async #read(stream: AsyncIterable<unknown>): Promise<void> {
    for await (const _ of stream);
  }

  #hold(promise: Promise<unknown>): void {
    const settled = (): void => void this.pending--
    this.pending++
    promise.then(settled, settled)
  }

  push(bytes: Uint8Array): void {
    if (!this.framer.push(bytes)) this.alive = false
    this.clock.turns()
    this.transport.sent.length = 0
    if (this.core.isClosed) this.alive = false
  }
}

function heapMiB(): number {
  return process.memoryUsage().heapUsed / 2 ** 20 + process.memoryUsage().arrayBuffers / 2 ** 20
}

// Most inputs make an error, and a stack is most of what that costs.
beforeAll(() => {
  Error.stackTraceLimit = 0
})

describe(`fuzz, seed ${seed}`, () => {
  it.each(PEERS)('$name', async ({ name, make, inputs }) => {
    const random = new Random(seed)
    const watch = new Watch()
    const before = heapMiB()
    let target = new Target(make, false)
    let peers = 1
    for (let count = 0; count < inputs; count++) {
      const bytes = input(random)
      const now = target
      watch.time(
        bytes,
        () => now.push(bytes),
        () => new Target(make, false).push(bytes),
      )
      if (count % 128 === 0) {
        await now.clock.settle()
        now.clock.skip(random.below(50))
      }
      if (!now.alive || count % 2000 === 0) {
        now.core.close()
        if (peers % 8 === 0) {
          await now.clock.settle()
          expect([count, now.pending, now.core.openCalls]).toEqual([count, 0, 0])
        }
        target = new Target(make, peers++ % 2 === 0)
      }
    }
    await target.clock.settle()
    console.log(`fuzz of ${name}: ${inputs} inputs, ${peers} peers, worst ${watch.worst.toFixed(2)} ms`)
    expect(watch.over).toEqual([])
    expect(heapMiB() - before).toBeLessThan(400)
  })

  it('a hub, with others connected', async () => {
    const random = new Random(seed ^ 0x5eed)
    const watch = new Watch()
    const method = untyped('work')
    const rig = new HubRig({
      rules: {
        main: { call: ['*'], publish: ['*'], subscribe: ['*'] },
        worker: {},
        plugin: { call: ['m', 's', 'up', 'work'], publish: ['t'], subscribe: ['t'] },
      },
    })
    const main = await rig.join('main', 'main')
    const worker = await rig.join('worker-1', 'worker')
    for (const name of ['work', 'm']) worker.handle(untyped(name), (given) => given)
    worker.handle(untyped('s', 'stream'), async function* () {
      yield 1
    })
    const events = main.subscribe(untyped('t', 'topic'), { timeoutMs: 0 })
    void (async () => {
      for await (const _ of events) if (main.isClosed) break
    })().catch(() => {})
    await rig.settle()
    let hostile: RawPeer | undefined
    let joins = 0
    let honest = 0
    const join = async (): Promise<RawPeer> => {
      joins++
      const peer = await rig.raw('plugin-1', 'plugin', false)
      peer.open(1, { id: 'worker-1' }, 'm', 's', 'work')
      peer.open(2, { topics: true }, 't')
      peer.open(3, { type: 'worker' }, 'm')
      rig.hub.serve(rig.port('plugin-1'), [['p', '']])
      rig.clock.turns()
      // Something is asked of it, so that what it forges as answers may hit.
      for (const name of ['p', 'q'])
        main
          .to({ id: 'plugin-1' })
          .call(untyped(name), 1, { timeoutMs: 200 })
          .catch(() => {})
      main
        .to({ id: 'plugin-1' })
        .stream(untyped('p', 'stream'), 1, { timeoutMs: 200 })
        .output.catch(() => {})
      rig.clock.turns()
      return peer
    }
    const before = heapMiB()
    for (let count = 0; count < HUB_INPUTS; count++) {
      const bytes = input(random)
      const peer: RawPeer = hostile ?? (await join())
      hostile = peer
      let ok = true
      const framer = new Framer((run) => peer.transport.receive(run))
      watch.time(
        bytes,
        () => {
          ok = framer.push(bytes)
          rig.clock.turns()
        },
        () => {},
      )
      peer.transport.sent.length = 0
      if (!ok) peer.transport.lose()
      if (count % 1000 === 0) {
        const answers = Array.from({ length: 4 }, (_, index) =>
          main.to({ id: 'worker-1' }).call(method, index),
        )
        await rig.settle()
        expect(await Promise.all(answers)).toEqual([0, 1, 2, 3])
        honest += 4
        rig.clock.skip(random.below(100))
      }
      if (peer.closed || count % 5000 === 0) {
        peer.transport.lose()
        await rig.settle()
        hostile = undefined
      }
    }
    hostile?.transport.lose()
    rig.clock.skip(1000)
    await rig.settle()
    console.log(
      `fuzz of a hub: ${HUB_INPUTS} inputs, ${joins} joins, ${honest} honest calls, worst ${watch.worst.toFixed(2)} ms`,
    )
    expect(watch.over).toEqual([])
    expect(main.isClosed).toBe(false)
    expect(worker.isClosed).toBe(false)
    expect(heapMiB() - before).toBeLessThan(400)
    events.cancel()
    await rig.settle()
    expect(rig.leftovers()).toEqual([])
    expect(worker.openCalls).toBe(0)
  })

  it('the body decoder', () => {
    const random = new Random(seed ^ 0xb0d7)
    const watch = new Watch()
    const bodies: Uint8Array[] = []
    const values = load('values.json')
    for (const list of ['values', 'accepted', 'bad'])
      for (const { hex } of listOf(values[list]).map(objectOf))
        if (typeof hex === 'string') bodies.push(fromHex(hex))
    const shapes = makeDictionary([['a', 'b'], ['c']])
    const limits = { maxDepth: 64, maxKeys: 10_000 }
    const encoder = new BodyEncoder()
    let taken = 0
    for (let count = 0; count < BODY_INPUTS; count++) {
      const from = random.of(bodies, new Uint8Array([0]))
      let body: Uint8Array = from.length > 4096 ? from.slice(0, 64) : from.slice()
      for (let changes = random.below(4); changes > 0 && body.length > 0; changes--) {
        const at = random.below(body.length)
        const how = random.below(4)
        if (how === 0) body[at] = (body[at] ?? 0) ^ (1 << random.below(8))
        else if (how === 1) body[at] = random.next()
        else if (how === 2) body = body.slice(0, at)
        else
          body = joinBytes(body.subarray(0, at), random.of(bodies, body).subarray(0, 64), body.subarray(at))
      }
      const segments = random.below(3) === 0 ? [new Uint8Array(random.below(4) * 8)] : []
      const given = random.below(2) === 0 ? shapes : undefined
      const run = (): unknown => {
        try {
          return decodeBody(body, 0, body.length, limits, given, segments)
        } catch (error) {
          if (!isViaductError(error) || error.reason !== 'MALFORMED_BODY') throw error
          return undefined
        }
      }
      let value: unknown
      watch.time(
        body,
        () => {
          value = run()
        },
        run,
      )
      if (value !== undefined) {
        taken++
        // What was read can be written.
        encoder.encode(value, given)
      }
    }
    console.log(`fuzz of bodies: ${BODY_INPUTS} inputs, ${taken} taken, worst ${watch.worst.toFixed(2)} ms`)
    expect(watch.over).toEqual([])
    expect(taken).toBeGreaterThan(BODY_INPUTS / 50)
  })

  it('begins from well-formed frames', () => {
    for (const frame of corpus) {
      expect(readU32(frame, 0)).toBe(frame.length)
      expect(frame.length).toBe(padded(frame.length))
      expect(readU16(frame, AT.headBytes)).toBeLessThan(4096)
    }
  })
})
