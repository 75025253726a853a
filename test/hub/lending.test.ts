/** The hub passes large frames on where they lie: until they are written, nobody reads over them. */
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { Link } from '../../src/core/link.ts'
import { untyped } from '../../src/core/method.ts'
import { PeerCore } from '../../src/core/peer.ts'
import { HubCore } from '../../src/hub/core.ts'
import { memoryTransports } from '../../src/transports/memory.ts'
import * as KIND from '../../src/wire/kind.ts'
import { makeFrame } from '../support/frames.ts'
import { joinOver, PREAMBLE, type RawPeer, testCrypto, workPair } from '../support/hubRig.ts'
import { ScriptedTransport } from '../support/scriptedTransport.ts'
import { socketPair } from '../transports/socketPair.ts'

const FREE = { main: { call: ['*'] }, worker: { call: ['*'] } }
const work = untyped('work')

/** A callee whose transport looks at what it is sent until the test says that it is done. */
async function slowCallee(flush: boolean) {
  const { rig, caller, callee } = await workPair(FREE)
  const views: Uint8Array[] = []
  const state = { done: false }
  callee.transport.send = (frames) => {
    if (frames.length > 2048) views.push(frames)
    return true
  }
  if (flush) Object.assign(callee.transport, { flush: () => state.done })
  return { rig, caller, views, state }
}

function call(id: number, payloadBytes: number): Uint8Array {
  return makeFrame({ kind: KIND.CALL, lane: 2, id, route: 1, payload: new Uint8Array(payloadBytes).fill(id) })
}

function lend(caller: RawPeer, ...sizes: readonly number[]): boolean {
  const frames = sizes.map((size, index) => call(index + 1, size))
  return caller.transport.lend(new Uint8Array(Buffer.concat(frames)))
}

/** A link over transports whose `flush` gives what a test says. */
function linkOver(transport: ScriptedTransport): Link {
  const nothing = (): void => {}
  const events = { frame: nothing, goaway: nothing, drained: nothing, closed: nothing, keeps: true }
  const link = new Link(transport, systemClock, 1e7, events)
  transport.receive(PREAMBLE)
  return link
}

function flushing(flush: () => unknown): ScriptedTransport {
  return Object.assign(new ScriptedTransport(), { flush })
}

describe('a link that memory is lent to', () => {
  it('lets go of it when every path has that it ever had', () => {
    const state = { done: false }
    const first = flushing(() => state.done)
    const link = linkOver(first)
    expect(link.borrows).toBe(true)
    link.prepare(flushing(() => true))
    link.move()
    first.receive(makeFrame({ kind: KIND.MOVE, id: 1 }))
    expect(link.settle()).toBe(false)
    link.prepare(flushing(() => true))
    expect(link.settle()).toBe(false)
    state.done = true
    expect(link.settle()).toBe(true)
  })

  it.each([
    ['nothing', () => undefined],
    ['a promise', async () => true],
  ])('takes %s for no word that it is done', (_, flush) => {
    expect(linkOver(flushing(flush)).settle()).toBe(false)
  })
})

describe('memory that was read into', () => {
  it('is kept while a transport looks at a large frame of it', async () => {
    const { caller, views, state } = await slowCallee(true)
    expect(lend(caller, 10_000, 20_000)).toBe(true)
    expect(views.map(({ length }) => length)).toEqual([10_032, 20_032])
    expect(caller.transport.kept).toBe(true)
    state.done = true
    expect(caller.transport.kept).toBe(false)
  })

  it('is not kept for small frames, which are copied', async () => {
    const { caller } = await slowCallee(true)
    expect(lend(caller, 1000, 2000)).toBe(false)
  })

  it('is not lent to a transport that cannot say when it is done', async () => {
    const { caller, views } = await slowCallee(false)
    const frames = new Uint8Array(call(1, 10_000))
    expect(caller.transport.lend(frames)).toBe(false)
    frames.fill(0xee)
    expect(views[0]?.subarray(32).every((byte) => byte === 1)).toBe(true)
  })

  it('is kept for a callee that has gone, until its transport has let go', async () => {
    const { rig, caller, state } = await slowCallee(true)
    lend(caller, 10_000)
    rig.port('main').link.close()
    await rig.settle()
    expect(caller.transport.kept).toBe(true)
    state.done = true
    expect(caller.transport.kept).toBe(false)
  })

  it('comes whole to readers of sockets, more at once than a socket holds', async () => {
    const hub = new HubCore({
      clock: systemClock,
      crypto: testCrypto,
      rules: FREE,
      pair: () => memoryTransports(systemClock),
      makePeer: (transport, options) => new PeerCore(transport, options),
    })
    const pairs = await Promise.all([socketPair(), socketPair(), socketPair()])
    const [callee, ...callers] = await Promise.all(
      pairs.map(async ({ near, far }, index) => {
        const admitted = new Promise<void>((onAdmitted) => {
          const identity = index === 0 ? { id: 'main', type: 'main' } : { id: `w${index}`, type: 'worker' }
          hub.accept(near, { identity, supervised: true, onAdmitted: () => onAdmitted() })
        })
        const peer = joinOver(far, systemClock)
        await admitted
        return peer
      }),
    )
    callee?.handle(work, (input) => input)
    await callee?.ping()
    const size = (turn: number) => 100_000 + turn * 37_003
    const echoes = callers.flatMap((caller, who) =>
      Array.from({ length: 24 }, async (_, turn) => {
        const input = new Uint8Array(size(turn)).fill(who * 100 + turn)
        const output = await caller.to({ id: 'main' }).call(work, input)
        expect(Buffer.from(input).equals(Buffer.from(output instanceof Uint8Array ? output : []))).toBe(true)
      }),
    )
    await Promise.all(echoes)
    expect(echoes.length).toBe(48)
    hub.close()
    for (const { dispose } of pairs) dispose()
  })
})
