import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { contract, method, stream, topic } from '../../src/contract/contract.ts'
import { manifest } from '../../src/hub/manifest.ts'
import { faultLink, memoryHub, mock, VirtualClock } from '../../src/testing/index.ts'
import { connectPeers } from '../../src/transports/direct.ts'
import { writeHeader } from '../../src/wire/frame.ts'
import * as KIND from '../../src/wire/kind.ts'

const pages = contract('pages', {
  analyze: method({ input: z.object({ url: z.string() }), output: z.number(), errors: { TooLong: null } }),
  lines: stream({ input: z.string(), item: z.string() }),
  opened: topic({ data: z.object({ url: z.string() }) }),
})

describe('virtual clock', () => {
  test('timers fire in order of time, then in the order they were set, at their own time', async () => {
    const clock = new VirtualClock()
    const fired: [string, number][] = []
    const note = (name: string) => () => fired.push([name, clock.now()])
    clock.after(20, note('c'))
    clock.after(10, note('a'))
    clock.after(10, note('b'))
    clock.after(10, () => clock.after(5, note('nested')))
    clock.after(15, note('cancelled'))()
    clock.after(100, note('later'))
    await clock.advance(50)
    expect(fired).toEqual([
      ['a', 10],
      ['b', 10],
      ['nested', 15],
      ['c', 20],
    ])
    expect(clock.now()).toBe(50)
    expect(clock.pending).toBe(1)
  })

  test('promises settle between two timers', async () => {
    const clock = new VirtualClock()
    const seen: string[] = []
    clock.after(1, () => void Promise.resolve().then(() => seen.push('promise')))
    clock.after(2, () => seen.push('timer'))
    await clock.advance(2)
    expect(seen).toEqual(['promise', 'timer'])
  })

  test('a deadline passes when the test says so', async () => {
    const clock = new VirtualClock()
    const [near, far] = connectPeers({ clock })
    far.handle('never', () => new Promise(() => {}))
    let failed: unknown
    near.call('never', 0, { timeoutMs: 60_000 }).catch((error: unknown) => {
      failed = error
    })
    await clock.advance(59_000)
    expect(failed).toBeUndefined()
    await clock.advance(1_000)
    expect(failed).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
  })
})

describe('memory hub', () => {
  test('peers find each other by id and type, publish and subscribe, and are named by the hub', async () => {
    const hub = memoryHub()
    const main = hub.peer('main')
    const ai = hub.peer('ai-1')
    expect(ai.info.type).toBe('ai')
    ai.serve(pages, {
      analyze: ({ url }, call) => url.length + call.peer.id.length,
      lines: async function* (text) {
        yield* text.split(' ')
      },
    })
    await ai.ready()
    const api = main.client(pages, { type: 'ai' })
    expect(await api.analyze({ url: 'abc' })).toBe(3 + 'main'.length)
    const lines: string[] = []
    for await (const line of api.lines('a b c')) lines.push(line)
    expect(lines).toEqual(['a', 'b', 'c'])
    const opened = ai.subscribe(pages.opened)
    await opened.ready
    main.publish(pages.opened, { url: 'x' })
    for await (const event of opened) {
      expect(event).toEqual({ url: 'x' })
      expect(opened.last?.source).toBe('main')
      break
    }
    hub.close()
    await main.closed
  })

  test('rules hold as in earnest', async () => {
    const rules = manifest({ renderer: { call: ['pages.analyze'] } })
    const hub = memoryHub({ manifest: rules })
    const ai = hub.peer('ai-1')
    const double = mock(pages, { analyze: () => 1 })
    double.serveAt(ai)
    await ai.ready()
    const api = hub.peer('renderer-1').client(pages, { id: 'ai-1' })
    expect(await api.analyze({ url: '' })).toBe(1)
    await expect(async () => {
      for await (const _ of api.lines('')) void _
    }).rejects.toMatchObject({ code: 'PERMISSION_DENIED' })
    expect(double.calls.lines).toEqual([])
    hub.close()
  })
})

describe('mock', () => {
  test('records calls with their types, answers, refuses what it has no handler for', async () => {
    const [near, far] = connectPeers({ far: { id: 'x', type: 'y', zone: 'local', session: '' } })
    const double = mock(pages)
    const withdraw = double.serveAt(far)
    const api = near.client(pages)
    await expect(api.analyze({ url: 'a' })).rejects.toMatchObject({
      code: 'UNIMPLEMENTED',
      reason: 'MOCK_HAS_NO_HANDLER',
    })
    double.on('analyze', async ({ url }, call) => {
      if (url === 'long') throw call.error('TooLong')
      return url.length
    })
    expect(await api.analyze({ url: 'abcd' })).toBe(4)
    await expect(api.analyze({ url: 'long' })).rejects.toMatchObject({ reason: 'TooLong' })
    const url: string | undefined = double.calls.analyze[0]?.input.url
    expect(url).toBe('a')
    expect(double.calls.analyze.map(({ input }) => input.url)).toEqual(['a', 'abcd', 'long'])
    expect(double.calls.analyze[0]?.peer.id).toBe('x')
    double.on('lines', async function* (text) {
      yield text
    })
    const lines: string[] = []
    for await (const line of api.lines('one')) lines.push(line)
    expect(lines).toEqual(['one'])
    expect(double.calls.lines[0]?.input).toBe('one')
    double.reset()
    expect(double.calls.analyze).toEqual([])
    withdraw()
    await expect(api.analyze({ url: 'a' })).rejects.toMatchObject({ reason: 'METHOD_NOT_FOUND' })
    // @ts-expect-error: a topic has no handler.
    expect(() => double.on('opened', () => {})).not.toThrow()
  })
})

describe('fault link', () => {
  const frame = (number: number): Uint8Array => {
    const bytes = new Uint8Array(40).fill(number)
    writeHeader(bytes, 0, 40, KIND.PING, 0, 0, number, 0, 0, 0, 8, 0, 0)
    return bytes
  }
  const listen = (end: ReturnType<typeof faultLink>['ends'][0]) => {
    const seen = { frames: [] as number[], drains: 0, closes: [] as string[] }
    end.attach({
      frame: (bytes) => {
        for (let at = 0; at < bytes.length; at += 40) seen.frames.push(bytes[at + 8] ?? -1)
      },
      drain: () => void seen.drains++,
      close: (reason) => void seen.closes.push(reason),
    })
    return seen
  }

  test('delays every byte', async () => {
    const clock = new VirtualClock()
    const { ends } = faultLink({ clock, delayMs: 10 })
    const right = listen(ends[1])
    ends[0].send(frame(1))
    await clock.advance(5)
    ends[0].send(frame(2))
    await clock.advance(4)
    expect(right.frames).toEqual([])
    await clock.advance(1)
    expect(right.frames).toEqual([1])
    await clock.advance(5)
    expect(right.frames).toEqual([1, 2])
  })

  test('stalls one direction, says false and drain, and goes on', async () => {
    const clock = new VirtualClock()
    const link = faultLink({ clock, highWaterBytes: 100 })
    const left = listen(link.ends[0])
    const right = listen(link.ends[1])
    link.stall('left')
    expect([1, 2, 3].map((number) => link.ends[0].send(frame(number)))).toEqual([true, true, false])
    link.ends[1].send(frame(9))
    await clock.settle()
    expect([left.frames, right.frames, link.waiting('left')]).toEqual([[9], [], 120])
    link.resume('left')
    await clock.settle()
    expect([right.frames, left.drains, link.waiting('left')]).toEqual([[1, 2, 3], 1, 0])
  })

  test('cuts within a frame: what was whole has come, both ends close once', async () => {
    const clock = new VirtualClock()
    const link = faultLink({ clock, cutAfterBytes: 99 })
    const left = listen(link.ends[0])
    const right = listen(link.ends[1])
    for (let number = 1; number < 6; number++) link.ends[0].send(frame(number))
    await clock.settle()
    link.cut()
    await clock.settle()
    expect([right.frames, link.delivered('left')]).toEqual([[1, 2], 99])
    expect([left.closes, right.closes]).toEqual([['TRANSPORT_CLOSED'], ['TRANSPORT_CLOSED']])
  })

  test('splits at every byte and puts together again', async () => {
    const clock = new VirtualClock()
    const { ends } = faultLink({ clock, splitEvery: 1 })
    const right = listen(ends[1])
    for (let number = 0; number < 5; number++)
      ends[0].send(frame(number).subarray(0, 32), frame(number).subarray(32))
    await clock.settle()
    expect(right.frames).toEqual([0, 1, 2, 3, 4])
  })

  test('frames are lent: kept ones are overwritten unless the reader says that it keeps them', async () => {
    const clock = new VirtualClock()
    const { ends } = faultLink({ clock })
    const kept: Uint8Array[] = []
    ends[1].attach({ frame: (bytes) => kept.push(bytes), drain: () => {}, close: () => {} })
    ends[0].attach({ keeps: true, frame: (bytes) => kept.push(bytes), drain: () => {}, close: () => {} })
    ends[0].send(frame(1))
    ends[1].send(frame(2))
    await clock.settle()
    expect(kept.map((bytes) => bytes[8]).sort()).toEqual([0xee, 2].sort())
  })
})
