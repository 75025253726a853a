import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import { PeerCore } from '../../src/core/peer.ts'
import { decodeBody } from '../../src/wire/body.ts'
import { CODES } from '../../src/wire/errors.ts'
import { padded, readU32 } from '../../src/wire/frame.ts'
import { Framer } from '../../src/wire/framer.ts'
import * as KIND from '../../src/wire/kind.ts'
import { TurnClock } from '../support/clock.ts'
import {
  frameFrom,
  joinBytes,
  listOf,
  makeFrame,
  objectOf,
  readFrame,
  splitFrames,
  textOf,
} from '../support/frames.ts'
import { ScriptedTransport } from '../support/scriptedTransport.ts'
import { fromHex, toHex } from './notation.ts'

function load(name: string): Record<string, unknown>[] {
  const url = new URL(`../../vectors/${name}`, import.meta.url)
  const file: unknown = JSON.parse(readFileSync(url, 'utf8'))
  return listOf(objectOf(file).frames).map(objectOf)
}

const good = load('frames.json')
const bad = load('bad-frames.json')
const PREAMBLE = frameFrom({
  kind: 'PREAMBLE',
  method: 0x0101,
  id: '44414956',
  route: '1a544355',
  window: 10485760,
})
const OPEN = frameFrom({ kind: 'OPEN', body: { methods: [[0, 'm', '']] } })

describe('vectors/frames.json', () => {
  it('has every kind of frame', () => {
    const kinds = new Set(good.map(({ frame }) => frameFrom(frame)[4]))
    for (const kind of Object.values(KIND)) expect(kinds).toContain(kind)
  })

  for (const { name, frame, hex, header, bytes } of good) {
    it(textOf(name), () => {
      const made = frameFrom(frame)
      if (hex === undefined) {
        expect(toHex(made.subarray(0, 32))).toBe(header)
        expect(made.length).toBe(bytes)
      } else {
        expect(toHex(made)).toBe(hex)
      }
      // And back: what is read, written again, is the same.
      const { payload, flags, ...read } = readFrame(made)
      expect(read.bytes).toBe(made.length)
      const whole = {
        ...read,
        flags,
        payload: made.subarray(32, 32 + Math.min(made.length - 32, read.payloadBytes)),
      }
      expect(toHex(makeFrame(whole))).toBe(toHex(made))
      expect(payload.length).toBeLessThanOrEqual(read.payloadBytes)
      const delivered: Uint8Array[] = []
      expect(new Framer((run) => delivered.push(run)).push(made)).toBe(true)
      expect(delivered.length).toBe(1)
    })
  }

  it('one after the other they come whole through a framer, however they are cut', () => {
    const frames = good.map(({ frame }) => frameFrom(frame))
    const all = joinBytes(...frames)
    for (const size of [1, 3, 4, 7, 31, 32, 33, 1000, 4097, 65536]) {
      const got: Uint8Array[] = []
      const framer = new Framer((run) => got.push(...splitFrames(run)))
      let refused = 0
      for (let at = 0; at < all.length; at += size) if (!framer.push(all.subarray(at, at + size))) refused++
      expect([size, refused, got.length]).toEqual([size, 0, frames.length])
      expect(got.findIndex((frame, index) => Buffer.compare(frame, frames[index] ?? frame) !== 0)).toBe(-1)
    }
  })
})

class Callee {
  readonly clock = new TurnClock()
  readonly transport = new ScriptedTransport()
  readonly core = new PeerCore(this.transport, { clock: this.clock })
  closed = ''
  started = 0

  async greet(): Promise<void> {
    void this.core.closed.then((reason) => {
      this.closed = reason
    })
    this.core.handle(untyped('m'), () => {
      this.started++
      return new Promise(() => {})
    })
    this.transport.receive(PREAMBLE)
    this.transport.receive(OPEN)
    await this.clock.settle()
    this.transport.take()
  }
}

describe('vectors/bad-frames.json', () => {
  for (const entry of bad) {
    const frame = fromHex(textOf(entry.hex))
    if (entry.at === 'framer') {
      it(`framer: ${textOf(entry.name)}: ${textOf(entry.reason)}`, () => {
        const delivered: Uint8Array[] = []
        expect(new Framer((run) => delivered.push(run)).push(joinBytes(PREAMBLE, frame))).toBe(false)
        expect(delivered.map(toHex)).toEqual([toHex(PREAMBLE)])
        const byBytes = new Framer(() => {})
        expect([...frame.subarray(0, 4)].map((_, at) => byBytes.push(frame.subarray(at, at + 1)))).toEqual([
          true,
          true,
          true,
          false,
        ])
      })
    } else if (entry.at === 'start') {
      it(`first frame: ${textOf(entry.name)}: ${textOf(entry.reason)}`, async () => {
        const clock = new TurnClock()
        const transport = new ScriptedTransport()
        const core = new PeerCore(transport, { clock })
        transport.receive(frame)
        await clock.settle()
        expect(core.isClosed).toBe(true)
        expect(await core.closed).toBe(entry.closes)
      })
    } else if (entry.refuses === undefined) {
      it(`link: ${textOf(entry.name)}: ${textOf(entry.reason)}`, async () => {
        const callee = new Callee()
        await callee.greet()
        callee.transport.receive(frame)
        await callee.clock.settle()
        expect(callee.closed).toBe(entry.closes)
        const last = callee.transport.take().at(-1)
        expect(last && readFrame(last)).toMatchObject({ kind: KIND.GOAWAY, route: 1 })
        expect(callee.started).toBe(entry.opens === true ? 1 : 0)
      })
    } else {
      it(`refused: ${textOf(entry.name)}: ${textOf(entry.reason)}`, async () => {
        const callee = new Callee()
        await callee.greet()
        callee.transport.receive(frame)
        await callee.clock.settle()
        expect(callee.closed).toBe('')
        expect(callee.started).toBe(0)
        const answers = callee.transport.take().map((bytes) => readFrame(bytes))
        expect(answers.length).toBe(1)
        const { kind, payload } = answers[0] ?? readFrame(PREAMBLE)
        expect(kind).toBe(KIND.ERROR)
        const error = decodeBody(payload, 0, payload.length, { maxDepth: 8, maxKeys: 100 })
        expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: entry.refuses })
        expect(Object.keys(CODES)).toContain('INVALID_ARGUMENT')
      })
    }
  }

  it('has lengths that lie by every multiple', () => {
    for (const { at, hex } of bad) if (at !== 'framer') expect(padded(textOf(hex).length / 2) % 8).toBe(0)
    expect(readU32(PREAMBLE, 0)).toBe(32)
  })
})
