/** What the frames of callbacks carry: binaries, their bound, and where they stand among others. */
import { describe, expect, it } from 'vitest'
import { TRUSTED_LIMITS } from '../../src/core/bounds.ts'
import { Outbox } from '../../src/core/outbox.ts'
import { Writer } from '../../src/core/writer.ts'
import { VirtualClock } from '../../src/testing/index.ts'
import { decodeBody } from '../../src/wire/body.ts'
import { referencesHead } from '../../src/wire/head.ts'
import * as KIND from '../../src/wire/kind.ts'
import { FRAGMENT_BYTES, HEADER_BYTES, SEGMENT_BYTES } from '../../src/wire/limits.ts'
import { only } from '../support/callback.ts'
import { joinBytes, readFrame } from '../support/frames.ts'
import { echo, errorOf, list, outcome, rig } from './rig.ts'

/** Segment table and body around one binary in a list. */
const AROUND_BYTES = 8 + 3

describe('a binary to and fro', () => {
  it.each([0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1, 20_000, FRAGMENT_BYTES - 16])(
    'of %i bytes is an argument and a result, in one frame each',
    async (size) => {
      const { near, far, sent, of } = rig()
      const bytes = Uint8Array.from({ length: size }, (_, at) => (at * 7) & 0xff)
      far.handle(echo, (input) => only(input)(bytes))
      const seen: unknown[] = []
      const back = (given: unknown): unknown => {
        seen.push(given)
        return given
      }
      expect(await near.call(echo, back)).toEqual(bytes)
      expect(seen).toEqual([bytes])
      expect(of(KIND.BACK).length).toBe(2)
      const beside = sent.filter(({ kind }) => kind === KIND.FRAGMENT).length
      // The answer of the call itself is cut as any other.
      expect(beside).toBeLessThanOrEqual(1)
    },
  )

  it('of several in one list', async () => {
    const { near, far } = rig()
    const given = [new Uint8Array(5000).fill(1), 'x', new Float64Array(1000).fill(0.5), new Uint8Array(9000)]
    far.handle(echo, async (input) => (await only(input)(...given)) === 'got' && 'answered')
    let seen: unknown
    const back = (...args: unknown[]): string => {
      seen = args
      return 'got'
    }
    expect(await near.call(echo, back)).toBe('answered')
    expect(seen).toEqual(given)
  })

  it('over one frame is refused at its sender, and the exchange goes on', async () => {
    const { near, far, of } = rig()
    const over = new Uint8Array(FRAGMENT_BYTES - AROUND_BYTES + 1)
    far.handle(echo, async (input) => {
      const callback = only(input)
      const argument = await errorOf(callback(over))
      const result = await errorOf(callback('over'))
      return [argument.reason, argument.path, result.reason, result.path, await callback('here')]
    })
    const back = (what: unknown): unknown => (what === 'over' ? over : what)
    expect(await near.call(echo, back)).toEqual([
      'MESSAGE_TOO_LARGE',
      'callbacks[0].arguments',
      'MESSAGE_TOO_LARGE',
      'callbacks[0].result',
      'here',
    ])
    expect(of(KIND.BACK).every(({ payloadBytes }) => payloadBytes <= FRAGMENT_BYTES)).toBe(true)
  })

  it('is progress as well, behind the large item that is on its way', async () => {
    const { near, far, clock, link, sent } = rig({ highWaterBytes: 64 * 1024 })
    const bytes = new Uint8Array(10_000).fill(3)
    far.handle(list, async function* (_, call) {
      clock.after(10, () => call.progress(bytes))
      yield new Uint8Array(200_000)
    })
    const told: unknown[] = []
    await clock.advance(1)
    link.stall('right')
    const stream = near.stream(list, 0, { onProgress: (value) => told.push(value) })
    await clock.advance(20)
    link.resume('right')
    await clock.advance(1)
    expect(told).toEqual([bytes])
    const items = []
    for await (const item of stream) items.push(item)
    expect(items.length).toBe(1)
    const kinds = sent.map(({ kind }) => kind)
    expect(kinds.indexOf(KIND.PROGRESS)).toBeGreaterThan(kinds.lastIndexOf(KIND.FRAGMENT))
  })
})

it('an input with functions is written whole, wherever it ends in the memory that frames are made in', () => {
  const back = (): void => {}
  let inPlace = 0
  for (let units = 1400; units < 1600; units++) {
    const written: Uint8Array[] = []
    const outbox = new Outbox((bytes) => written.push(bytes.slice()) > 0, new VirtualClock(0))
    const writer = new Writer(outbox)
    outbox.room(8)
    const before = outbox.slab.length - 1600
    outbox.commit(0, before, 2, false)
    const input = [back, 'x'.repeat(units), 0.5]
    const cut = writer.write(KIND.CALL, 2, 0, 1, 0, 0, 0, input, undefined, false)
    expect(writer.takeReferences()).toEqual([back])
    expect(writer.takeReferences()).toEqual([])
    outbox.flush()
    const head = referencesHead(1)
    if (cut) {
      const payload = joinBytes(...cut.parts)
      expect([...payload.subarray(0, 8)]).toEqual([...head])
      expect(payload.length).toBe(cut.payloadBytes)
      continue
    }
    inPlace++
    const frame = readFrame(written.at(-1) ?? new Uint8Array(0))
    expect([...frame.payload.subarray(0, 8)]).toEqual([...head])
    const body = decodeBody(frame.payload, 8, frame.payloadBytes, TRUSTED_LIMITS, undefined, undefined, [
      back,
    ])
    expect(body).toEqual(input)
  }
  expect(inPlace).toBeGreaterThan(100)
})

it('a far end that calls and does not read: answers pile up to a bound, and then functions are not run', async () => {
  const queueBytes = 400_000
  const made = rig({ highWaterBytes: 1024, near: { limits: { ...TRUSTED_LIMITS, queueBytes } } })
  const { near, far, clock, link } = made
  const seen: Promise<unknown>[] = []
  far.handle(echo, async (input) => {
    const callback = only(input)
    for (let n = 0; n < 100; n++) seen.push(outcome(callback(n)))
    return (await Promise.all(seen)).filter((one) => one === '!QUEUE_FULL').length
  })
  let runs = 0
  const call = near.call(echo, () => {
    if (runs === 0) link.stall('left')
    runs++
    return new Uint8Array(20_000)
  })
  await clock.advance(10)
  expect(near.link.outbox.queuedBytes).toBeLessThan(queueBytes / 2 + 20_000 + 100 * HEADER_BYTES)
  expect(runs).toBeLessThan(15)
  link.resume('left')
  expect(await call).toBe(100 - runs)
  const [last] = seen.slice(-1)
  expect(await last).toBe('!QUEUE_FULL')
})
