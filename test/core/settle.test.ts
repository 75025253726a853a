import { describe, expect, test } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import { ViaductError } from '../../src/wire/errors.ts'
import * as KIND from '../../src/wire/kind.ts'
import {
  both,
  collect,
  echo,
  errorOf,
  list,
  outcome,
  peers,
  put,
  type Rig,
  type RigPeer,
  rig,
  rigOf,
  slow,
  watched,
} from './rig.ts'

/** Settles when a signal fires. */
function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()))
}

/** An object that looks like a promise. */
function thenable(then: unknown): object {
  return Object.defineProperty({}, 'then', { value: then })
}

describe.each(peers)('what handlers throw ($name)', (pairing) => {
  const rig = rigOf(pairing)

  const revoked = Proxy.revocable({}, {})
  revoked.revoke()
  const hostile = new Proxy(
    {},
    {
      get: () => {
        throw new Error('get')
      },
      has: () => {
        throw new Error('has')
      },
      getPrototypeOf: () => {
        throw new Error('prototype')
      },
    },
  )
  const strange = new Error('x')
  Object.defineProperty(strange, 'message', {
    get: () => {
      throw new Error('message')
    },
  })
  const cases: [string, unknown][] = [
    ['undefined', undefined],
    ['null', null],
    ['a string', 'text'],
    ['a number', Number.NaN],
    ['a symbol', Symbol('s')],
    ['a bigint', 10n],
    ['a function', () => {}],
    ['a frozen object', Object.freeze({ a: 1 })],
    ['an object without prototype', Object.create(null)],
    ['a frozen error', Object.freeze(new Error('frozen'))],
    ['an error whose message is a symbol', Object.assign(new Error('x'), { message: Symbol('m') })],
    ['an error whose message throws', strange],
    ['a hostile proxy', hostile],
    ['a revoked proxy', revoked.proxy],
    ['a promise', Promise.resolve(1)],
  ]
  for (const [name, thrown] of cases) {
    for (const how of ['thrown', 'rejected', 'from a generator'] as const) {
      test(`${name}, ${how}: the caller gets HANDLER_ERROR`, async () => {
        const { near, far, clock } = rig()
        const method = how === 'from a generator' ? list : echo
        far.handle(method, () => {
          if (how === 'thrown') throw thrown
          if (how === 'rejected') return thenable((_: unknown, no: (error: unknown) => void) => no(thrown))
          return (function* () {
            yield 1
            throw thrown
          })()
        })
        const call =
          how === 'from a generator'
            ? collect(near.stream(method, 0))
            : near.call(method, 0, { timeoutMs: 50 })
        const failed = errorOf(call)
        await clock.advance(100)
        expect(await failed).toMatchObject({ code: 'UNKNOWN', reason: 'HANDLER_ERROR' })
        expect([near.openCalls, far.openCalls]).toEqual([0, 0])
        expect(near.isClosed || far.isClosed).toBe(false)
      })
    }
  }

  test('an error with data that cannot be sent goes without the data', async () => {
    const { near, far } = rig()
    far.handle(echo, () => {
      throw new ViaductError('NOT_FOUND', 'gone', { reason: 'Gone', data: { f: () => {} } })
    })
    const error = await errorOf(near.call(echo, 1))
    expect(error).toMatchObject({ code: 'NOT_FOUND', reason: 'Gone', message: 'gone', data: undefined })
  })

  test('code, reason, data, path and cause arrive; the stack does not', async () => {
    const { near, far } = rig()
    far.handle(echo, () => {
      const details = {
        reason: 'R',
        data: { a: [1n] },
        path: 'input.x',
        retryAfterMs: 7,
        cause: new TypeError('c'),
      }
      throw new ViaductError('ABORTED', 'm', details)
    })
    const error = await errorOf(near.call(echo, 1))
    expect(error).toMatchObject({
      code: 'ABORTED',
      reason: 'R',
      data: { a: [1n] },
      path: 'input.x',
      retryAfterMs: 7,
    })
    expect(error.cause).toMatchObject({ name: 'TypeError', message: 'c' })
    expect(error.stack).not.toContain('answered')
  })
})

describe.each(peers)('what handlers return ($name)', (pairing) => {
  const rig = rigOf(pairing)

  test('output that cannot be sent: INTERNAL with the path to it', async () => {
    const { near, far } = rig()
    far.handle(echo, () => ({ pages: [{ run: () => {} }] }))
    expect(await errorOf(near.call(echo, 1))).toMatchObject({ code: 'INTERNAL', path: 'output.pages[0].run' })
  })

  test('an item that cannot be sent: INTERNAL with the path, and the generator is stopped', async () => {
    const { near, far, clock } = rig()
    let stopped = false
    far.handle(list, function* () {
      try {
        yield 1
        yield { deep: [Symbol('s')] }
        yield 3
      } finally {
        stopped = true
      }
    })
    const got: unknown[] = []
    const error = await errorOf(
      (async () => {
        for await (const item of near.stream(list, 0)) got.push(item)
      })(),
    )
    expect(got).toEqual([1])
    expect(error).toMatchObject({ code: 'INTERNAL', path: 'item.deep[0]' })
    await clock.settle()
    expect(stopped).toBe(true)
  })

  test('input that cannot be sent: INVALID_ARGUMENT with the path, not sent', async () => {
    const { near } = rig()
    const error = await errorOf(near.call(echo, { a: { b: Symbol('b') } }))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', path: 'input.a.b', fate: 'not-sent' })
    expect(near.openCalls).toBe(0)
  })

  test('iterables and thenables that break their promises', async () => {
    const { near, far, clock } = rig()
    const fault = (): never => {
      throw new Error('no')
    }
    const broken: [string, unknown][] = [
      ['iterator that throws', { [Symbol.asyncIterator]: fault }],
      ['iterator that is nothing', { [Symbol.asyncIterator]: () => undefined }],
      ['then that throws', Object.defineProperty({}, 'then', { get: fault })],
      ['then that throws when called', thenable(fault)],
    ]
    for (const [name, value] of broken) {
      const method = untyped(`t.${name}`, 'stream')
      far.handle(method, () => value)
      const late = untyped(`t.late ${name}`, 'stream')
      far.handle(late, () =>
        thenable((yes: (value: unknown) => void) => yes(name.startsWith('then') ? 1 : value)),
      )
      const stream = outcome(collect(near.stream(method, 0, { timeoutMs: 100 })))
      const later = outcome(collect(near.stream(late, 0, { timeoutMs: 100 })))
      await clock.advance(200)
      expect([name, await stream]).toEqual([name, '!HANDLER_ERROR'])
      if (!name.startsWith('then')) expect([name, await later]).toEqual([name, '!HANDLER_ERROR'])
    }
    expect([near.openCalls, far.openCalls]).toEqual([0, 0])
  })

  test('a thenable that answers twice answers once', async () => {
    const { near, far, clock } = rig()
    const twice = (yes: (value: unknown) => void, no: (error: unknown) => void): void => {
      yes(1)
      yes(2)
      no(new Error('3'))
    }
    far.handle(echo, () => thenable(twice))
    expect(await near.call(echo, 0)).toBe(1)
    await clock.settle()
    expect(far.openCalls).toBe(0)
  })

  test('progress comes before the answer, none after it, and none that is too large', async () => {
    const { near, far, clock } = rig()
    const seen: unknown[] = []
    let late = (): void => {}
    far.handle(slow, (_input, call) => {
      call.progress(1)
      call.progress({ two: 2 })
      late = () => call.progress('late')
      expect(() => call.progress('x'.repeat(100_000))).toThrow(/progress/)
      return 'done'
    })
    expect(await near.call(slow, 0, { onProgress: (value) => seen.push(value) })).toBe('done')
    late()
    await clock.settle()
    expect(seen).toEqual([1, { two: 2 }])
    expect(near.isClosed).toBe(false)
  })

  test('progress behind a large item waits, and only the latest', async () => {
    const { near, far, link, clock, of } = rig({ highWaterBytes: 1000 })
    let report = (_: unknown): void => {}
    far.handle(list, async function* (_input, call) {
      report = (value) => call.progress(value)
      yield 'x'.repeat(300_000)
      call.progress('after')
    })
    const seen: unknown[] = []
    const items = collect(near.stream(list, 0, { onProgress: (value) => seen.push(value) }))
    await clock.settle()
    // The item waits for its reader's credit or the link: both hold the sender.
    link.stall('right')
    await clock.settle()
    const again = collect(near.stream(list, 0, { onProgress: (value) => seen.push(value) }))
    await clock.settle()
    for (let done = 1; done <= 1000; done++) report(done)
    link.resume()
    await clock.settle()
    expect((await items).length + (await again).length).toBe(2)
    expect(seen).toEqual(['after', 1000, 'after'])
    expect(of(KIND.PROGRESS, 'right')).toHaveLength(3)
  })

  test('progress may be binary, in one frame, and stays in its order', async () => {
    const { near, far } = rig()
    const bytes = new Uint8Array(10_000).fill(7)
    far.handle(slow, (_input, call) => {
      call.progress(1)
      call.progress(bytes)
      call.progress(2)
      return 'done'
    })
    const seen: unknown[] = []
    expect(await near.call(slow, 0, { onProgress: (value) => seen.push(value) })).toBe('done')
    expect(seen).toEqual([1, bytes, 2])
  })

  test('a listener of progress that throws ends nothing', async () => {
    const { near, far } = rig()
    far.handle(slow, (_input, call) => {
      call.progress(1)
      return 'done'
    })
    const onProgress = (): void => {
      throw new Error('listener')
    }
    expect(await near.call(slow, 0, { onProgress })).toBe('done')
  })
})

/** Looks into the outbox. */
describe('in the whole peer', () => {
  test('progress that waits behind a large item takes the place of the one before it', async () => {
    const { near, far, link, clock } = rig({ highWaterBytes: 1000 })
    let report = (_: unknown): void => {}
    far.handle(list, async function* (_input, call) {
      report = (value) => call.progress(value)
      yield 'x'.repeat(300_000)
      call.progress('after')
    })
    const seen: unknown[] = []
    const items = collect(near.stream(list, 0, { onProgress: (value) => seen.push(value) }))
    await clock.settle()
    // The item waits for its reader's credit or the link: both hold the sender.
    link.stall('right')
    await clock.settle()
    const again = collect(near.stream(list, 0, { onProgress: (value) => seen.push(value) }))
    await clock.settle()
    for (let done = 1; done <= 1000; done++) report(done)
    expect(far.link.outbox.heldBytes).toBeLessThan(1000)
    link.resume()
    await clock.settle()
    expect((await items).length + (await again).length).toBe(2)
    expect(seen).toEqual(['after', 1000, 'after'])
  })
})

describe.each(peers)('names that objects have ($name)', (pairing) => {
  const rig = rigOf(pairing)

  const names = ['constructor', '__proto__', 'then', 'toString', 'hasOwnProperty', 'valueOf', 'prototype', '']
  for (const name of names) {
    test(`${JSON.stringify(name)}: is served when it is, and not when it is not`, async () => {
      const { near, far } = rig()
      const method = untyped(name)
      expect(await outcome(near.call(method, 1))).toBe('!METHOD_NOT_FOUND')
      const withdraw = far.handle(method, (input) => ({ name, input }))
      expect(await near.call(method, 2)).toEqual({ name, input: 2 })
      withdraw()
      expect(await outcome(near.call(method, 3))).toBe('!METHOD_NOT_FOUND')
    })
  }

  test('values with such keys arrive as they are, and poison nothing', async () => {
    const { near, far } = rig()
    far.handle(echo, (input) => input)
    const value = JSON.parse('{"__proto__":{"polluted":1},"constructor":2,"then":3}')
    const got = await near.call(echo, [value])
    expect(JSON.stringify(got)).toBe(JSON.stringify([value]))
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })
})

describe.each(peers)('serving ($name)', (pairing) => {
  const rig = rigOf(pairing)

  test('a method is registered later, withdrawn, and served again', async () => {
    const { near, far } = rig()
    expect(await errorOf(near.call(echo, 1))).toMatchObject({ reason: 'METHOD_NOT_FOUND', fate: 'not-sent' })
    const withdraw = far.handle(echo, () => 'first')
    expect(await near.call(echo, 1)).toBe('first')
    expect(() => far.handle(echo, () => 'second')).toThrow(/served here already/)
    withdraw()
    withdraw()
    far.handle(echo, () => 'third')
    withdraw()
    expect(await near.call(echo, 1)).toBe('third')
  })

  test('a call that runs when its method is withdrawn is finished', async () => {
    const { near, far, clock } = rig()
    let finish = (_: unknown): void => {}
    const withdraw = far.handle(slow, () => new Promise((resolve) => (finish = resolve)))
    const call = near.call(slow, 1)
    await clock.settle()
    withdraw()
    finish('finished')
    expect(await call).toBe('finished')
  })

  test('both ends serve and call at once', async () => {
    const { near, far } = rig()
    near.handle(echo, (input) => ['near', input])
    far.handle(echo, async (input) => ['far', await far.call(echo, input)])
    expect(await near.call(echo, 1)).toEqual(['far', ['near', 1]])
  })

  test('two shapes of one name go on for as long as they like', async () => {
    const { near, far } = rig()
    far.handle(echo, (input) => input)
    const other = { ...untyped('t.echo'), fingerprint: '0123456789abcdef' }
    for (let round = 0; round < 9000; round++) {
      const results = await Promise.all([near.call(echo, round), near.call(other, -round)])
      if (results[0] !== round || results[1] !== -round) throw new Error('mixed up')
    }
    expect(near.isClosed).toBe(false)
  })
})

describe.each(peers)('the link ends ($name)', (pairing) => {
  const rig = rigOf(pairing)

  const cases: [string, (end: Rig<RigPeer, RigPeer>) => void][] = [
    ['cut', ({ link }) => link.cut()],
    ['closed here', ({ near }) => near.close()],
    ['closed there', ({ far }) => far.close()],
    [
      'closed twice at both ends',
      ({ near, far }) => {
        near.close()
        far.close('PROTOCOL_ERROR')
        near.close()
        far.close()
      },
    ],
  ]
  for (const [name, end] of cases) {
    test(`${name}: calls, streams, uploads and both at once settle; handlers hear of it`, async () => {
      const it = rig()
      const { near, far, clock } = it
      const heard: string[] = []
      far.handle(
        slow,
        (_input, call) => new Promise(() => call.signal.addEventListener('abort', () => heard.push('slow'))),
      )
      far.handle(list, async function* (_input, call) {
        try {
          for (;;) {
            yield 'item'.repeat(500)
            if (call.signal.aborted) return
          }
        } finally {
          heard.push('list')
        }
      })
      far.handle(put, async (_input, call) => {
        try {
          let count = 0
          for await (const _ of call.upload) if (++count === 5) await abortOf(call.signal)
        } catch (error) {
          heard.push('put')
          throw error
        }
      })
      far.handle(both, async function* (_input, call) {
        try {
          for await (const item of call.upload) yield item
        } finally {
          heard.push('both')
        }
      })
      const uploadsEnded: string[] = []
      async function* upload(name: string) {
        try {
          for (;;) yield name.repeat(500)
        } finally {
          uploadsEnded.push(name)
        }
      }
      const stream = near.stream(list, 0)
      const duplex = near.stream(both, 0, { upload: upload('both') })
      const reader = stream[Symbol.asyncIterator]()
      const duplexReader = duplex[Symbol.asyncIterator]()
      const all = Promise.all([
        outcome(near.call(slow, 1)),
        outcome(near.call(slow, 1, { timeoutMs: 0 })),
        outcome(near.call(put, 1, { upload: upload('put'), timeoutMs: 0 })),
        outcome(stream.output),
        outcome(duplex.output),
        outcome(
          near
            .ping()
            .then(() => far.ping())
            .then(() => near.closed)
            .then(() => near.ping()),
        ),
      ])
      await reader.next()
      await duplexReader.next()
      await clock.settle()
      end(it)
      await clock.settle()
      expect(await all).toEqual(Array(6).fill('!LINK_LOST'))
      const rest = [reader, duplexReader].map(async (one) => {
        for (let next = await one.next(); !next.done; next = await one.next());
      })
      for (const one of rest) expect(await outcome(one)).toBe('!LINK_LOST')
      expect(heard.sort()).toEqual(['both', 'list', 'put', 'slow', 'slow'])
      expect(uploadsEnded.sort()).toEqual(['both', 'put'])
      expect([near.openCalls, far.openCalls]).toEqual([0, 0])
      expect(await outcome(near.call(echo, 1))).toBe('!LINK_LOST')
      expect(near.notify(echo, 1)).toBe(false)
      expect(await outcome(near.ping())).toBe('!LINK_LOST')
      await near.drained()
      await near.drain()
      await near.closed
      await far.closed
      expect(clock.pending).toBe(0)
    })
  }

  test('the far end learns the reason', async () => {
    const { near, far, clock } = rig()
    await clock.settle()
    near.close('HEARTBEAT_LOST')
    expect(await near.closed).toBe('HEARTBEAT_LOST')
    expect(await far.closed).toBe('HEARTBEAT_LOST')
  })

  test('cut within a frame: what was whole is delivered, the rest settles', async () => {
    const { near, far } = rig({ cutAfterBytes: 3001 })
    far.handle(echo, (input) => input)
    const calls = Array.from({ length: 100 }, (_, number) => outcome(near.call(echo, number)))
    const results = await Promise.all(calls)
    expect(results.at(-1)).toBe('!LINK_LOST')
    expect(await outcome(near.call(echo, 1))).toBe('!LINK_LOST')
  })

  test('split at every byte: nothing changes', async () => {
    const { near, far } = rig({ splitEvery: 1 })
    far.handle(echo, (input) => input)
    far.handle(list, () => Array.from({ length: 50 }, (_, number) => 'x'.repeat(number)))
    const value = { bytes: new Uint8Array(100_000).fill(3), text: 'ä€😀' }
    expect(await near.call(echo, value)).toEqual(value)
    expect(await collect(near.stream(list, 0))).toHaveLength(50)
  })

  test('ping tells the round trip', async () => {
    const { near, clock } = rig({ delayMs: 20 })
    await clock.advance(20)
    const ping = watched(near.ping())
    await clock.advance(100)
    expect(await ping.promise).toBe(40)
  })
})
