/** Both implementations of a peer against far ends and transports that mean no good, frame by frame, in virtual time. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import type { PageOptions } from '../../src/page/peer.ts'
import { ViaductError } from '../../src/wire/errors.ts'
import * as FLAG from '../../src/wire/flag.ts'
import * as KIND from '../../src/wire/kind.ts'
import { FRAGMENT_BYTES, MAX_FRAME_BYTES } from '../../src/wire/limits.ts'
import { REASONS } from '../../src/wire/reasons.ts'
import { TurnClock } from '../support/clock.ts'
import { type FrameFields, frameFrom, makeFrame, type ReadFrame, readFrame } from '../support/frames.ts'
import { PREAMBLE } from '../support/hubRig.ts'
import { ScriptedTransport } from '../support/scriptedTransport.ts'
import { errorOf, type MakePeer, nears, outcome, page, type RigPeer, watched } from './rig.ts'

const LIMITS = { messageBytes: 1 << 20, maxDepth: 64, maxKeys: 1e5, exchanges: 64, queueBytes: 4 << 20 }
const [m, s, up] = [untyped('m'), untyped('s', 'stream'), untyped('up', 'call', true)]
const ID = 0x00100001

/** The implementation that is judged. */
let make: MakePeer = page

class Ends {
  readonly clock = new TurnClock()
  readonly transport: ScriptedTransport
  readonly peer: RigPeer

  constructor(options: PageOptions = {}, transport = new ScriptedTransport(), preamble = PREAMBLE) {
    this.transport = transport
    const { clock } = this
    this.peer = make(transport, { clock, limits: LIMITS, ...options })
    this.receive(preamble)
    this.take()
  }

  receive(...frames: readonly Uint8Array[]): void {
    this.transport.receive(...frames)
    this.clock.turns()
  }

  /** Frames of the far end, of the fields that are given. */
  say(...frames: readonly FrameFields[]): void {
    this.receive(...frames.map(makeFrame))
  }

  /** What has been sent since, of one kind if that is given. */
  take(kind?: number): ReadFrame[] {
    this.clock.turns()
    const frames = this.transport.take().map((frame) => readFrame(frame))
    return kind === undefined ? frames : frames.filter((frame) => frame.kind === kind)
  }

  /** Numbers the methods here on route 0, from 0 on. */
  open(...names: readonly string[]): void {
    this.receive(frameFrom({ kind: 'OPEN', body: { methods: names.map((name, at) => [at, name, '']) } }))
    this.take()
  }

  /** The id of a call that the peer has just made. */
  called(): number {
    const [call] = this.take(KIND.CALL)
    if (!call) throw new Error('nothing was called')
    return call.id
  }
}

const rejections: unknown[] = []
const reject = (error: unknown): void => void rejections.push(error)
beforeEach(() => {
  rejections.length = 0
  process.on('unhandledRejection', reject)
})
afterEach(() => {
  process.off('unhandledRejection', reject)
})
/** Lets the host tell of rejections that nobody handles. */
const told = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))

const ONE = new Uint8Array([1])
const never = (): Promise<never> => new Promise(() => {})

describe.each(nears)('$name', ({ near }) => {
  const isPage = near === page
  beforeAll(() => {
    make = near
  })

  describe('promises settle when the link ends', () => {
    it('drained', async () => {
      const { clock, peer, transport } = new Ends()
      transport.full = true
      while (peer.notify(m, 'x'.repeat(FRAGMENT_BYTES / 2)));
      const room = watched(peer.drained())
      await clock.settle()
      expect(room.settled).toBe(false)
      transport.lose()
      await clock.settle()
      expect(room.settled).toBe(true)
    })

    it('drain, before the far end has seen our GOAWAY', async () => {
      const { clock, peer, transport } = new Ends()
      const gone = watched(peer.drain(60_000))
      transport.lose()
      await clock.settle()
      expect(gone.settled).toBe(true)
    })

    it('drain, while calls run', async () => {
      const ends = new Ends()
      const { clock, peer, transport } = ends
      peer.handle(m, never)
      ends.open('m')
      ends.say({ kind: KIND.CALL, id: ID, payload: ONE })
      const gone = watched(peer.drain(60_000))
      ends.say({ kind: KIND.PONG, id: 1 })
      await clock.settle()
      expect(gone.settled).toBe(false)
      transport.lose()
      await clock.settle()
      expect(gone.settled).toBe(true)
      expect(clock.timers).toBe(0)
    })

    it('two drains, when the shorter one is over', async () => {
      const ends = new Ends()
      const { clock, peer } = ends
      peer.handle(m, never)
      ends.open('m')
      ends.say({ kind: KIND.CALL, id: ID, payload: ONE })
      const [long, short] = [watched(peer.drain(60_000)), watched(peer.drain(1_000))]
      ends.say({ kind: KIND.PONG, id: 1 }, { kind: KIND.PONG, id: 2 })
      await clock.pass(1_000)
      expect([short.settled, long.settled]).toEqual([true, true])
    })

    it.each([KIND.FRAGMENT, KIND.CANCEL])(
      'drain, though the last call was not here whole: what comes of it has the kind %d',
      async (kind) => {
        const ends = new Ends()
        ends.peer.handle(m, never)
        ends.open('m')
        const half = new Uint8Array(8)
        ends.say({ kind: KIND.CALL, id: ID, flags: FLAG.MORE, payload: half, payloadBytes: 16 })
        const gone = watched(ends.peer.drain(60_000))
        ends.say({ kind: KIND.PONG, id: 1 })
        await ends.clock.settle()
        expect(gone.settled).toBe(false)
        ends.say({ kind, id: ID, payload: kind === KIND.CANCEL ? new Uint8Array() : half })
        await ends.clock.settle()
        expect(gone.settled).toBe(true)
      },
    )

    it.runIf(isPage)('no timer is set for a grace that fits none', () => {
      const ends = new Ends()
      const serving = ends.peer.handle(m, never)
      ends.open('m')
      ends.say({ kind: KIND.CALL, id: ID, payload: ONE })
      const { timers } = ends.clock
      for (const graceMs of [2 ** 31, Number.MAX_VALUE, Number.POSITIVE_INFINITY]) {
        void serving.withdraw({ graceMs })
        void ends.peer.drain(graceMs)
      }
      expect(ends.clock.timers).toBe(timers)
    })

    it('withdraw, which tells no one-way call that it was withdrawn', async () => {
      const ends = new Ends()
      let aborted = false
      const serving = ends.peer.handle(m, (_, { signal }) => {
        signal.addEventListener('abort', () => (aborted = true))
        return never()
      })
      ends.open('m')
      ends.say({ kind: KIND.CALL, flags: FLAG.ONE_WAY, payload: ONE })
      const idle = watched(serving.withdraw({ graceMs: 1_000 }))
      ends.transport.lose()
      await ends.clock.settle()
      expect([idle.settled, aborted]).toEqual([true, false])
    })

    it('ping, whose fate is unknown once it has left', async () => {
      const { clock, peer, transport } = new Ends()
      const lost = errorOf(peer.ping())
      await clock.settle()
      transport.lose()
      expect(await lost).toMatchObject({ reason: 'LINK_LOST', fate: 'unknown' })
      expect(await errorOf(peer.ping())).toMatchObject({ reason: 'LINK_LOST', fate: 'not-sent' })
    })

    it('withdraw, and calls in both directions', async () => {
      const ends = new Ends()
      const { clock, peer, transport } = ends
      const serving = peer.handle(m, never)
      ends.open('m')
      ends.say({ kind: KIND.CALL, id: ID, payload: ONE })
      const idle = watched(serving.withdraw({ graceMs: Number.POSITIVE_INFINITY }))
      const call = watched(peer.call(m, 1, { timeoutMs: 0 }))
      const stream = peer.stream(s, 1, { timeoutMs: 0 })
      const item = watched(stream[Symbol.asyncIterator]().next())
      await clock.settle()
      transport.lose()
      expect(await outcome(call.promise)).toBe('!LINK_LOST')
      expect(await outcome(item.promise)).toBe('!LINK_LOST')
      expect(await outcome(stream.output)).toBe('!LINK_LOST')
      await clock.settle()
      expect(idle.settled).toBe(true)
      expect(peer.openCalls).toBe(0)
      expect(clock.timers).toBe(0)
    })

    it.each(['a listener of progress', 'a handler', 'a reader', 'an upload that is stopped'])(
      'from %s',
      async (where) => {
        const ends = new Ends()
        const { clock, peer } = ends
        const close = (): void => peer.close()
        const onProgress = where === 'a listener of progress' ? close : () => {}
        const upload = {
          [Symbol.asyncIterator]: () => ({
            next: never,
            async return() {
              close()
              return { done: true as const, value: undefined }
            },
          }),
        }
        peer.handle(m, () => {
          close()
          return 1
        })
        ends.open('m')
        const stream = peer.stream(s, 1, {
          onProgress,
          timeoutMs: 0,
          ...(where.startsWith('an upload') && { upload }),
        })
        const id = ends.called()
        const others = [peer.call(m, 1), peer.call(m, 2), peer.ping()].map(outcome)
        const done = (async () => {
          for await (const _ of stream) if (where === 'a reader') close()
        })()
        const left = outcome(done)
        if (where.startsWith('an upload')) stream.cancel()
        ends.say(
          { kind: KIND.PROGRESS, id, flags: FLAG.ANSWER, payload: ONE },
          {
            kind: KIND.CALL,
            id: where === 'a handler' ? ID : 0,
            flags: where === 'a handler' ? 0 : FLAG.ONE_WAY,
            method: where === 'a handler' ? 0 : 7,
            payload: ONE,
          },
          { kind: KIND.ITEM, id, flags: FLAG.ANSWER, payload: ONE },
        )
        await clock.settle()
        expect(peer.isClosed).toBe(true)
        expect(await peer.closed).toBe('GOING_AWAY')
        expect(await Promise.all(others)).toEqual(['!LINK_LOST', '!LINK_LOST', '!LINK_LOST'])
        expect(await left).toBe(where.startsWith('an upload') ? '!CANCELLED' : '!LINK_LOST')
        expect(peer.openCalls).toBe(0)
        expect(clock.timers).toBe(0)
      },
    )
  })

  describe('frames that nobody should send', () => {
    it('unknown kinds below 0x40 close the link', () => {
      const kept: string[] = []
      for (let kind = 0x0b; kind < 0x40; kind++) {
        if (kind >= KIND.CALL && kind <= KIND.RELEASE) continue
        const ends = new Ends()
        ends.say({ kind, id: ID })
        if (ends.transport.closedWith !== 'PROTOCOL_ERROR') kept.push(kind.toString(16))
      }
      expect(kept).toEqual([])
    })

    it('a preamble is of the header alone', () => {
      const long = new Uint8Array(40)
      long.set(PREAMBLE)
      long[0] = 40
      expect(new Ends({}, new ScriptedTransport(), long).transport.closedWith).toBe('PROTOCOL_ERROR')
    })

    it('a CANCEL of the callee is no item', async () => {
      const ends = new Ends()
      const stream = ends.peer.stream(s, 1)
      const streamed = ends.called()
      const item = watched(stream[Symbol.asyncIterator]().next())
      const answer = watched(ends.peer.call(m, 1))
      const asked = ends.called()
      ends.say(
        { kind: KIND.CANCEL, id: streamed, flags: FLAG.ANSWER },
        { kind: KIND.CANCEL, id: asked, flags: FLAG.ANSWER },
      )
      await ends.clock.settle()
      expect([item.settled, answer.settled]).toEqual([false, false])
    })

    it.each([KIND.ERROR, KIND.PROGRESS])(
      'what a callee says is no item of an upload: kind %d',
      async (kind) => {
        const ends = new Ends()
        const got: unknown[] = []
        ends.peer.handle(up, async (_input, { upload }) => {
          for await (const item of upload) got.push(item)
        })
        ends.open('up')
        ends.say(
          { kind: KIND.CALL, id: ID, flags: FLAG.UPLOAD, payload: ONE },
          { kind, id: ID, payload: ONE },
        )
        await ends.clock.settle()
        expect(got).toEqual([])
        expect(ends.peer.isClosed).toBe(false)
      },
    )

    it('an END with a lease for no open call is late', () => {
      const ends = new Ends()
      ends.say({ kind: KIND.END, id: ID, window: 1000, flags: FLAG.ANSWER })
      expect(ends.peer.isClosed).toBe(false)
    })

    it('BACK and RELEASE for no open call are late', () => {
      const ends = new Ends()
      ends.say(
        { kind: KIND.BACK, id: ID, window: 1, flags: FLAG.ANSWER },
        { kind: KIND.RELEASE, id: ID, flags: FLAG.ANSWER },
      )
      ends.say({ kind: KIND.BACK, id: ID, window: 1 })
      expect(ends.peer.isClosed).toBe(false)
    })

    it('a length that wraps when it is padded closes the link', () => {
      for (const payloadBytes of [2 ** 32 - 1, 2 ** 32 - 7, 2 ** 31, 1, 0xfffffff8]) {
        const ends = new Ends()
        ends.say({ kind: KIND.CREDIT, id: ID, payloadBytes })
        expect([payloadBytes, ends.transport.closedWith]).toEqual([payloadBytes, 'PROTOCOL_ERROR'])
      }
    })

    it('what comes behind a violation in one run is not read', async () => {
      const ends = new Ends()
      let ran = 0
      ends.peer.handle(m, () => ran++)
      ends.open('m')
      ends.say({ kind: KIND.CALL, id: 0x3f }, { kind: KIND.CALL, id: 0x40 }, { kind: KIND.CALL, id: 1 })
      expect(ran).toBe(1)
      expect(ends.transport.closedWith).toBe('PROTOCOL_ERROR')
    })

    it('a one-way call that is cut, then cancelled, ends no call of its slot', async () => {
      const ends = new Ends()
      const serving = ends.peer.handle(
        m,
        () => new Promise((resolve) => ends.clock.after(50, () => resolve(7))),
      )
      ends.open('m')
      ends.say({ kind: KIND.CALL, id: ID, payload: ONE })
      const other = ID + 0x00100000
      const cut = { payload: new Uint8Array(8), payloadBytes: 16 }
      ends.say(
        { kind: KIND.CALL, id: other, flags: FLAG.ONE_WAY | FLAG.MORE, ...cut },
        { kind: KIND.CANCEL, id: other },
      )
      const idle = watched(serving.withdraw({ graceMs: Number.POSITIVE_INFINITY }))
      await ends.clock.pass(60)
      expect(ends.take(KIND.END).map(({ id }) => id)).toEqual([ID])
      expect(idle.settled).toBe(true)
    })

    it('a call over the limit ends no call of its slot', async () => {
      const ends = new Ends()
      const serving = ends.peer.handle(
        m,
        () => new Promise((resolve) => ends.clock.after(50, () => resolve(7))),
      )
      ends.open('m')
      ends.say({ kind: KIND.CALL, id: ID, payload: ONE })
      const id = ID + 0x00100000
      ends.say({ kind: KIND.CALL, id, flags: FLAG.MORE, payload: new Uint8Array(8), payloadBytes: 2 ** 30 })
      const idle = watched(serving.withdraw({ graceMs: Number.POSITIVE_INFINITY }))
      await ends.clock.pass(60)
      expect(ends.take(KIND.END).map(({ id }) => id)).toEqual([ID])
      expect(idle.settled).toBe(true)
    })

    it('a one-way call has no upload, and no credit is granted for one', async () => {
      const ends = new Ends()
      let ended = 0
      ends.peer.handle(up, async (_input, { upload }) => {
        for await (const _ of upload);
        ended++
      })
      ends.open('up')
      ends.say({ kind: KIND.CALL, flags: FLAG.ONE_WAY | FLAG.UPLOAD, payload: ONE })
      await ends.clock.settle()
      expect(ended).toBe(1)
      expect(ends.take(KIND.CREDIT)).toEqual([])
    })

    it('answers what fits no frame with no ROUTE that is cut', () => {
      const ends = new Ends()
      const methods = Array.from({ length: 3_800 }, () => [0, '', ''])
      ends.receive(frameFrom({ kind: 'OPEN', body: { methods } }))
      const sent = ends.take()
      expect(sent.filter(({ kind, flags }) => kind === KIND.ROUTE && (flags & FLAG.MORE) !== 0)).toEqual([])
      expect(sent.filter(({ kind }) => kind === KIND.FRAGMENT)).toEqual([])
    })

    it('tells of a method that is served under very many numbers in whole frames', () => {
      const ends = new Ends()
      for (let at = 0; at < 8_000; at += 1_000) {
        const methods = Array.from({ length: 1_000 }, (_, index) => [at + index, 'm', ''])
        ends.receive(frameFrom({ kind: 'OPEN', body: { methods } }))
      }
      expect(ends.peer.isClosed).toBe(false)
      ends.take()
      ends.peer.handle(m, () => 1)
      expect(ends.take().filter(({ flags }) => (flags & FLAG.MORE) !== 0)).toEqual([])
    })

    it('a far end that takes messages of a byte rejects nothing that nobody handles', async () => {
      const preamble = PREAMBLE.slice()
      preamble.set([1, 0, 0, 0], 20)
      const ends = new Ends({}, new ScriptedTransport(), preamble)
      ends.peer.handle(m, async () => {
        throw new Error('no')
      })
      ends.open('m')
      ends.say({ kind: KIND.CALL, id: ID, payload: ONE })
      await ends.clock.settle()
      await told()
      expect(rejections).toEqual([])
      expect(ends.peer.openCalls).toBe(0)
    })

    it('credit may be granted beyond any number', async () => {
      const ends = new Ends()
      ends.peer.handle(s, function* () {
        for (let item = 0; item < 5; item++) yield item
      })
      ends.open('s')
      ends.say({ kind: KIND.CALL, id: ID, payload: ONE, window: 2 ** 32 - 1 })
      for (let grant = 0; grant < 5; grant++) ends.say({ kind: KIND.CREDIT, id: ID, window: 2 ** 32 - 1 })
      await ends.clock.settle()
      expect(ends.take(KIND.ITEM)).toHaveLength(5)
    })

    it('an answer for a call that was settled here changes nothing, and frees its slot', async () => {
      const ends = new Ends({ limits: { ...LIMITS, exchanges: 1 } })
      const call = outcome(ends.peer.call(m, 1, { timeoutMs: 10 }))
      const id = ends.called()
      await ends.clock.pass(20)
      expect(await call).toBe('!DEADLINE_EXCEEDED')
      expect(await outcome(ends.peer.call(m, 1))).toBe('!TOO_MANY_CALLS')
      ends.say({ kind: KIND.END, id, flags: FLAG.ANSWER, payload: ONE })
      const next = ends.peer.call(m, 1)
      const again = ends.called()
      expect(again).toBe(id + 0x00100000)
      ends.say({ kind: KIND.END, id, flags: FLAG.ANSWER, payload: ONE })
      ends.say({ kind: KIND.END, id: again, flags: FLAG.ANSWER, payload: ONE })
      expect(await next).toBe(1)
    })

    it('generations wrap, and no call has the id 0', async () => {
      const ends = new Ends({ limits: { ...LIMITS, exchanges: 1 } })
      const ids = new Set<number>()
      for (let call = 0; call < 1_030; call++) {
        const answer = ends.peer.call(m, 1)
        const id = ends.called()
        ids.add(id)
        ends.say({ kind: KIND.END, id, flags: FLAG.ANSWER, payload: ONE })
        expect(await answer).toBe(1)
      }
      expect(ids.has(0)).toBe(false)
      expect(ids.size).toBe(1_023)
      expect([...ids].every((id) => id % 0x00100000 === 0 && id < 2 ** 30)).toBe(true)
    })

    it('takes calls of the highest generation, and answers them by their id', async () => {
      const ends = new Ends()
      ends.peer.handle(m, (given) => given)
      ends.open('m')
      const ids = [0xfff00000, 0x80000001, 0xffffffff - 0xfffc1, 0]
      for (const id of ids) ends.say({ kind: KIND.CALL, id, payload: ONE })
      expect(ends.take(KIND.END).map(({ id }) => id)).toEqual(ids)
      ends.say({ kind: KIND.CALL, id: 64, payload: ONE })
      expect(ends.transport.closedWith).toBe('PROTOCOL_ERROR')
    })
  })

  describe('handlers that throw where one does not look', () => {
    it('a stream handler whose answer cannot be looked at fails its call', async () => {
      const ends = new Ends()
      const hostile = new Proxy(
        {},
        {
          has: () => {
            throw new Error('do not look')
          },
        },
      )
      ends.peer.handle(s, async () => hostile)
      ends.open('s')
      ends.say({ kind: KIND.CALL, id: ID, payload: ONE, window: MAX_FRAME_BYTES * 2 })
      await ends.clock.settle()
      await told()
      expect(rejections).toEqual([])
      expect(ends.take(KIND.ERROR).map(({ id }) => id)).toEqual([ID])
      expect(ends.peer.openCalls).toBe(0)
    })

    it.each([
      [
        'a getter that throws',
        Object.defineProperty(new Error('x'), 'message', {
          get() {
            throw new Error('no')
          },
        }),
      ],
      [
        'a proxy',
        new Proxy(
          {},
          {
            get() {
              throw new Error('no')
            },
            getPrototypeOf() {
              throw new Error('no')
            },
          },
        ),
      ],
      ['nothing', undefined],
      ['data that cannot be sent', new ViaductError('ABORTED', 'x', { reason: 'X', data: () => 1 })],
    ])('%s', async (_name, thrown) => {
      const ends = new Ends({ debug: true })
      ends.peer.handle(m, () => Promise.reject(thrown))
      ends.peer.handle(s, () => ({
        [Symbol.iterator]: () => {
          throw thrown
        },
      }))
      ends.open('m', 's')
      ends.say(
        { kind: KIND.CALL, id: ID, payload: ONE },
        { kind: KIND.CALL, id: ID + 1, method: 1, payload: ONE },
      )
      await ends.clock.settle()
      await told()
      expect(
        ends
          .take(KIND.ERROR)
          .map(({ id }) => id)
          .sort(),
      ).toEqual([ID, ID + 1])
      expect(ends.peer.openCalls).toBe(0)
      expect(rejections).toEqual([])
    })
  })

  describe('transports of their own mind', () => {
    it('full from the first send on: what waits leaves when it drains', async () => {
      const transport = new ScriptedTransport()
      transport.full = true
      const ends = new Ends({}, transport)
      const answer = ends.peer.call(m, 1)
      expect(ends.take()).toEqual([])
      transport.drain()
      const id = ends.called()
      ends.say({ kind: KIND.END, id, flags: FLAG.ANSWER, payload: ONE })
      expect(await answer).toBe(1)
    })

    it('one that drains while it is sent to keeps its order, and is believed when it is full', async () => {
      const transport = new ScriptedTransport()
      const send = transport.send.bind(transport)
      let depth = 0
      transport.send = (frames, tail) => {
        const took = send(frames, tail)
        if (depth++ === 0) transport.drain()
        depth--
        return took
      }
      const ends = new Ends({}, transport)
      ends.peer.handle(m, (given) => given)
      ends.open('m')
      for (let id = 1; id < 5; id++) ends.say({ kind: KIND.CALL, id, payload: ONE })
      expect(ends.take(KIND.END).map(({ id }) => id)).toEqual([1, 2, 3, 4])
    })

    it('one that ends while it is told of a method: the call settles', async () => {
      let events: { close(reason: string): void } | undefined
      const transport = new ScriptedTransport()
      transport.attach = (given) => {
        events = given
        ScriptedTransport.prototype.attach.call(transport, given)
      }
      const { clock, peer } = new Ends({}, transport)
      transport.send = () => {
        events?.close('TRANSPORT_CLOSED')
        return true
      }
      const call = outcome(peer.call(m, 1, { timeoutMs: 0 }))
      const stream = outcome(peer.stream(s, 1, { timeoutMs: 0 }).output)
      await clock.settle()
      expect(await Promise.race([call, told()])).toBe('!LINK_LOST')
      expect(await Promise.race([stream, told()])).toBe('!LINK_LOST')
      expect([peer.openCalls, clock.timers]).toEqual([0, 0])
    })

    it('one that brings items while it is granted credit: none is granted twice', async () => {
      const ends = new Ends()
      const stream = ends.peer.stream(s, 1, { windowBytes: 1 << 20 })
      const id = ends.called()
      const reader = stream[Symbol.asyncIterator]()
      for (let count = 0; count < 3; count++) void reader.next()
      // A Latin-1 string that fills its frame.
      const payload = new Uint8Array(FRAGMENT_BYTES).fill(0x61)
      payload.set([0xec, 0xfc, 0xff, 0x01])
      const item = makeFrame({ kind: KIND.ITEM, id, flags: FLAG.ANSWER, payload })
      const send = ends.transport.send.bind(ends.transport)
      let granted = 0
      let items = 1
      ends.transport.send = (frames, tail) => {
        const took = send(frames, tail)
        for (const { kind, window } of ends.transport.take().map((frame) => readFrame(frame))) {
          if (kind === KIND.CREDIT) granted += window
          if (kind === KIND.CREDIT && items++ < 3) ends.transport.receive(item)
        }
        return took
      }
      ends.receive(item)
      await ends.clock.settle()
      expect(granted).toBe(3 * item.length)
    })

    it('one that ends while it is sent to: the call settles', async () => {
      let events: { close(reason: string): void } | undefined
      const other = new ScriptedTransport()
      other.attach = (given) => {
        events = given
        ScriptedTransport.prototype.attach.call(other, given)
      }
      const second = new Ends({}, other)
      const before = outcome(second.peer.call(m, 0))
      second.clock.turns()
      other.send = () => {
        events?.close('TRANSPORT_CLOSED')
        return true
      }
      const call = watched(second.peer.call(m, 1, { timeoutMs: 0 }))
      await second.clock.settle()
      expect(second.peer.isClosed).toBe(true)
      expect(call.settled).toBe(true)
      expect(await before).toBe('!LINK_LOST')
    })

    it.runIf(isPage)('one that answers while it is sent to: the call has its answer', async () => {
      const ends = new Ends()
      const before = outcome(ends.peer.call(m, 0))
      ends.say({ kind: KIND.END, id: ends.called(), flags: FLAG.ANSWER, payload: ONE })
      expect(await before).toBe(1)
      const send = ends.transport.send.bind(ends.transport)
      ends.transport.send = (frames, tail) => {
        const took = send(frames, tail)
        for (const frame of ends.transport.take()) {
          const { id, kind } = readFrame(frame)
          if (kind === KIND.CALL)
            ends.transport.receive(makeFrame({ kind: KIND.END, id, flags: FLAG.ANSWER, payload: ONE }))
        }
        return took
      }
      const call = watched(ends.peer.call(m, 1, { timeoutMs: 0 }))
      await ends.clock.settle()
      expect(call.settled).toBe(true)
    })

    it('control frames that nobody reads stop the reading, until all has gone', () => {
      const ends = new Ends()
      ends.transport.full = true
      ends.say({ kind: KIND.PING, id: 1 })
      for (let ping = 0; ping < 17; ping++) {
        ends.receive(...Array.from({ length: 1_000 }, () => makeFrame({ kind: KIND.PING, id: 1 })))
      }
      expect(ends.transport.paused).toBe(true)
      ends.transport.drain()
      expect(ends.transport.paused).toBe(false)
      expect(ends.take(KIND.PONG)).toHaveLength(17_001)
    })

    it('answers of OPEN that nobody reads are bounded by their bytes', () => {
      const ends = new Ends()
      ends.transport.full = true
      ends.say({ kind: KIND.PING, id: 1 })
      const methods = Array.from({ length: 1_000 }, () => [0, '', ''])
      const open = frameFrom({ kind: 'OPEN', body: { methods } })
      for (let count = 0; count < 1_000 && !ends.transport.paused; count++) ends.receive(open)
      expect(ends.transport.paused).toBe(true)
    })

    it('the beginning of a message does not keep the run that it came in', async () => {
      const { setFlagsFromString } = await import('node:v8')
      const { runInNewContext } = await import('node:vm')
      setFlagsFromString('--expose_gc')
      const collect: () => void = runInNewContext('gc')
      const ends = new Ends()
      collect()
      const before = process.memoryUsage().arrayBuffers
      for (let id = 1; id <= 500; id++) {
        const run = new Uint8Array(40 + MAX_FRAME_BYTES)
        run.set(
          makeFrame({
            kind: KIND.CALL,
            id,
            flags: FLAG.ONE_WAY | FLAG.MORE,
            payload: new Uint8Array(8),
            payloadBytes: 16,
          }),
        )
        run.set(makeFrame({ kind: KIND.NOOP, payload: new Uint8Array(FRAGMENT_BYTES) }), 40)
        ends.receive(run)
      }
      for (let pass = 0; pass < 3; pass++) {
        await told()
        collect()
      }
      expect(ends.peer.isClosed).toBe(false)
      expect((process.memoryUsage().arrayBuffers - before) / 2 ** 20).toBeLessThan(4)
    })

    it('low gets its sixteenth, however long it had the link to itself', () => {
      const ends = new Ends({ limits: { ...LIMITS, messageBytes: 1 << 24, queueBytes: 1 << 26 } })
      const send = ends.transport.send.bind(ends.transport)
      // A write at each drain.
      ends.transport.send = (frames, tail) => {
        send(frames, tail)
        return false
      }
      void outcome(ends.peer.call(m, new Uint8Array(4 << 20), { lane: 'low', timeoutMs: 0 }))
      const step = (): ReadFrame[] => {
        ends.transport.drain()
        return ends.take()
      }
      for (let turn = 0; turn < 32; turn++) step()
      void outcome(ends.peer.call(m, new Uint8Array(8 << 20), { lane: 'high', timeoutMs: 0 }))
      let [low, all] = [0, 0]
      for (let turn = 0; turn < 160; turn++) {
        for (const { bytes, flags } of step()) {
          all += bytes
          if ((flags & FLAG.LANE) === 3) low += bytes
        }
      }
      expect(low / all).toBeGreaterThan(1 / 20)
      expect(low / all).toBeLessThan(1 / 10)
    })
  })

  describe('what is held is given back', () => {
    const part = { flags: FLAG.MORE, payload: new Uint8Array(8), payloadBytes: 1 << 20 }

    it('messages that are put together are bounded in all', () => {
      const ends = new Ends()
      ends.peer.handle(m, () => 1)
      ends.open('m')
      for (let id = 1; id <= 5; id++) ends.say({ kind: KIND.CALL, id, ...part })
      expect(ends.take(KIND.ERROR).map(({ id, route }) => [id, route])).toEqual([[5, 10]])
      ends.say({ kind: KIND.CANCEL, id: 1 }, { kind: KIND.CALL, id: 6, ...part })
      expect(ends.take(KIND.ERROR).map(({ id, route }) => [id, route])).toEqual([[1, 11]])
    })

    it('an item that is unfinished when its call has ended', async () => {
      const ends = new Ends()
      const answers: (() => void)[] = []
      ends.peer.handle(m, () => new Promise<void>((resolve) => answers.push(resolve)))
      ends.open('m')
      for (let id = 1; id <= 8; id++) {
        ends.say({ kind: KIND.CALL, id, flags: FLAG.UPLOAD, payload: ONE }, { kind: KIND.ITEM, id, ...part })
        for (const answer of answers.splice(0)) answer()
        await ends.clock.settle()
      }
      ends.say({ kind: KIND.CALL, id: 9, ...part })
      expect(ends.take(KIND.ERROR)).toEqual([])
    })

    it('an item that is unfinished when its call is cancelled', () => {
      const ends = new Ends()
      ends.peer.handle(up, never)
      ends.open('up')
      for (let id = 1; id <= 8; id++) {
        ends.say({ kind: KIND.CALL, id, flags: FLAG.UPLOAD, payload: ONE }, { kind: KIND.ITEM, id, ...part })
        ends.say({ kind: KIND.CANCEL, id })
      }
      ends.say({ kind: KIND.CALL, id: 9, ...part })
      expect(ends.take(KIND.ERROR)).toEqual([])
    })

    it('calls that were cancelled or are late, when their method is withdrawn', async () => {
      const ends = new Ends()
      const serving = ends.peer.handle(m, never)
      ends.open('m')
      ends.say(
        { kind: KIND.CALL, id: 1, payload: ONE },
        { kind: KIND.CANCEL, id: 1 },
        { kind: KIND.CALL, id: 2, payload: ONE, timeLeft: 5 },
      )
      await ends.clock.pass(10)
      const gone = watched(serving.withdraw({ graceMs: 10 }))
      await ends.clock.pass(20)
      expect(gone.settled).toBe(true)
      expect(ends.take(KIND.ERROR).map(({ id }) => id)).toEqual([1, 2])
      expect(ends.peer.openCalls).toBe(0)
    })

    it.runIf(isPage)('what was left to send of calls that were given up, and no more than that', async () => {
      const ends = new Ends()
      const send = ends.transport.send.bind(ends.transport)
      ends.transport.send = (frames, tail) => {
        send(frames, tail)
        return false
      }
      for (let count = 0; count < 16; count++) {
        const control = new AbortController()
        const call = outcome(ends.peer.call(m, new Uint8Array(1 << 19), { signal: control.signal }))
        for (let turn = 0; turn < 4; turn++) ends.transport.drain()
        control.abort()
        expect(await call).toBe('!CANCELLED')
      }
      ends.transport.drain()
      ends.transport.drain()
      let taken = 0
      while (ends.peer.notify(m, new Uint8Array(FRAGMENT_BYTES / 2))) taken++
      const most = LIMITS.queueBytes / 2 / (FRAGMENT_BYTES / 2)
      expect(taken).toBeGreaterThan(most - 8)
      expect(taken).toBeLessThan(most + 8)
    })

    it('numbers of methods: over twice as many as a route has close the link, unless routes were dropped', () => {
      for (const drops of [false, true]) {
        const ends = new Ends()
        for (let route = 1; route <= 17; route++) {
          const methods = Array.from({ length: 1_000 }, (_, index) => [index, 'm', ''])
          ends.receive(frameFrom({ kind: 'OPEN', route, body: { methods } }))
          if (drops) ends.say({ kind: KIND.DROP, route })
        }
        expect(ends.transport.closedWith).toBe(drops ? undefined : 'PROTOCOL_ERROR')
      }
    })

    it('answers that nobody reads, within the bound of the outbox; what is asked for beyond it is refused', async () => {
      const ends = new Ends({ limits: { ...LIMITS, exchanges: 1000, queueBytes: 1 << 20 } })
      let runs = 0
      ends.peer.handle(m, (input) => {
        runs++
        return input
      })
      ends.open('m')
      ends.transport.full = true
      const body = 'x'.repeat(30_000)
      for (let id = 1; id <= 100; id++) ends.receive(frameFrom({ kind: 'CALL', lane: 2, id, body }))
      ends.receive(frameFrom({ kind: 'CALL', lane: 2, flags: ['ONE_WAY'], body }))
      ends.transport.full = false
      ends.transport.drain()
      const frames = ends.take()
      const of = (kind: number): ReadFrame[] => frames.filter((frame) => frame.kind === kind)
      const held = of(KIND.END).length * body.length
      expect(held).toBeGreaterThan(900_000)
      expect(held).toBeLessThan(1_200_000)
      expect(of(KIND.END).length + of(KIND.ERROR).length).toBe(100)
      expect(new Set(of(KIND.ERROR).map(({ route }) => route))).toEqual(new Set([REASONS.QUEUE_FULL.number]))
      // What needs no answer runs all the same.
      expect(runs).toBe(of(KIND.END).length + 1)
      ends.receive(frameFrom({ kind: 'CALL', lane: 2, id: 101, body }))
      expect(ends.take(KIND.END)).toHaveLength(1)
    })

    it('nothing of a message that ends before all of it has come: its link ends', () => {
      const ends = new Ends()
      ends.peer.handle(m, (input) => input)
      ends.open('m')
      const part = { id: ID, payload: new Uint8Array(8) }
      ends.say({ kind: KIND.CALL, ...part, flags: FLAG.MORE, payloadBytes: 32 })
      expect(ends.transport.closedWith).toBeUndefined()
      ends.say({ kind: KIND.FRAGMENT, ...part })
      expect(ends.transport.closedWith).toBe('PROTOCOL_ERROR')
    })

    it('the id that a one-way message borrows, when its last fragment has left', () => {
      const ends = new Ends({ limits: { ...LIMITS, exchanges: 1 } })
      ends.transport.full = true
      const large = new Uint8Array(FRAGMENT_BYTES * 2)
      expect(ends.peer.notify(m, 1)).toBe(true)
      expect(ends.peer.notify(m, large)).toBe(true)
      expect(() => ends.peer.notify(m, large)).toThrow(expect.objectContaining({ reason: 'TOO_MANY_CALLS' }))
      ends.transport.drain()
      ends.clock.turns()
      expect(ends.peer.notify(m, large)).toBe(true)
      expect(new Set(ends.take(KIND.CALL).map(({ id }) => id)).size).toBe(3)
    })
  })

  describe('what callers may ask', () => {
    it('an answer that is too large gives back what has come of its items', async () => {
      const ends = new Ends()
      const flags = FLAG.ANSWER | FLAG.MORE
      for (let count = 0; count < 8; count++) {
        const { output } = ends.peer.stream(s, 1, { timeoutMs: 0 })
        const failed = outcome(output)
        const id = ends.called()
        const part = { id, flags, payload: new Uint8Array(8) }
        ends.say(
          { kind: KIND.ITEM, ...part, payloadBytes: 1 << 20 },
          { kind: KIND.END, ...part, payloadBytes: 1 << 21 },
        )
        expect(await failed).toBe('!MESSAGE_TOO_LARGE')
      }
      const answer = outcome(ends.peer.call(m, 1))
      const id = ends.called()
      const zeros = new Uint8Array(FRAGMENT_BYTES)
      zeros.set([0xe8, 0])
      ends.say({ kind: KIND.END, id, flags, payload: zeros, payloadBytes: FRAGMENT_BYTES + 8 })
      ends.say({ kind: KIND.FRAGMENT, id, flags: FLAG.ANSWER, payload: new Uint8Array(8) })
      expect(await answer).toBe('!MALFORMED_BODY')
    })

    it('an upload that aborts its own call as it begins is let clean up', async () => {
      const ends = new Ends()
      const control = new AbortController()
      let cleaned = 0
      const upload = (async function* () {
        try {
          control.abort()
          for (;;) yield 1
        } finally {
          cleaned++
        }
      })()
      expect(await outcome(ends.peer.call(up, 1, { upload, signal: control.signal }))).toBe('!CANCELLED')
      await ends.clock.settle()
      expect(cleaned).toBe(1)
      expect(ends.take(KIND.ITEM)).toEqual([])
    })

    it('a stream whose first item cancels it is let clean up', async () => {
      const ends = new Ends()
      let cleaned = 0
      ends.peer.handle(s, async function* () {
        try {
          ends.peer.close()
          for (;;) yield 1
        } finally {
          cleaned++
        }
      })
      ends.open('s')
      ends.say({ kind: KIND.CALL, id: ID, window: 1 << 20, payload: ONE })
      await ends.clock.settle()
      expect(cleaned).toBe(1)
    })

    it('a negative idle bound is none', async () => {
      const ends = new Ends()
      const stream = ends.peer.stream(s, 1, { idleTimeoutMs: -1, timeoutMs: 0 })
      const id = ends.called()
      const output = watched(stream.output)
      ends.say({ kind: KIND.ITEM, id, flags: FLAG.ANSWER, payload: ONE })
      await stream[Symbol.asyncIterator]().next()
      await ends.clock.pass(100)
      expect(output.settled).toBe(false)
    })

    it('a batch whose maker throws leaves what it began on its way', async () => {
      const ends = new Ends()
      let answer: Promise<unknown> | undefined
      expect(() =>
        ends.peer.batch(() => {
          answer = ends.peer.call(m, 1)
          throw new Error('no')
        }),
      ).toThrow('no')
      const id = ends.called()
      ends.say({ kind: KIND.END, id, flags: FLAG.ANSWER, payload: ONE })
      expect(await answer).toBe(1)
      const next = ends.peer.call(m, 2)
      expect(ends.take(KIND.CALL)).toHaveLength(1)
      ends.peer.close()
      expect(await outcome(next)).toBe('!LINK_LOST')
    })

    it('a ROUTE that bears the id of a call is no item of it', async () => {
      const ends = new Ends()
      const answer = ends.peer.call(m, 1)
      const id = ends.called()
      ends.receive(frameFrom({ kind: 'ROUTE', id, flags: ['ANSWER'], body: { methods: [] } }))
      ends.say({ kind: KIND.END, id, flags: FLAG.ANSWER, payload: ONE })
      expect(await answer).toBe(1)
    })

    it('GOAWAY counts: what it does not cover was not sent', async () => {
      const ends = new Ends()
      const calls = [1, 2, 3].map((n) => errorOf(ends.peer.call(m, n, { timeoutMs: 0 })))
      ends.take()
      ends.say({ kind: KIND.GOAWAY, id: 2 }, { kind: KIND.GOAWAY, id: 3 })
      expect(await errorOf(ends.peer.call(m, 4))).toMatchObject({ reason: 'DRAINING', fate: 'not-sent' })
      ends.transport.lose()
      expect((await Promise.all(calls)).map(({ fate }) => fate)).toEqual(['unknown', 'unknown', 'not-sent'])
    })

    it('the last GOAWAY of the far end is why the link has closed', async () => {
      const ends = new Ends()
      ends.say({ kind: KIND.GOAWAY, route: 8 })
      ends.transport.lose()
      expect(await ends.peer.closed).toBe('REPLACED')
    })
  })
})
