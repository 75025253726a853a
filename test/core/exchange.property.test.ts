import fc from 'fast-check'
import { expect, test } from 'vitest'
import { untyped } from '../../src/core/method.ts'
import { faultLink } from '../../src/testing/index.ts'
import { isViaductError } from '../../src/wire/errors.ts'
import { nears, type Pairing, peers } from './rig.ts'

const RUNS = 10_000

type Act =
  | {
      readonly do: 'call'
      readonly kind: 'call' | 'stream' | 'upload'
      readonly large: boolean
      readonly timeoutMs: number
    }
  | { readonly do: 'cancel' | 'answer' | 'throw' | 'item' | 'feed' | 'read'; readonly which: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'stall' | 'resume' | 'turn' }

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('call'),
      kind: fc.constantFrom('call', 'stream', 'upload'),
      large: fc.boolean(),
      timeoutMs: fc.constantFrom(0, 10, 40),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('cancel', 'answer', 'throw', 'item', 'feed', 'read'),
      which: fc.nat(7),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass'), ms: fc.nat(30) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('stall', 'resume', 'turn') }) },
)

/** A clock whose turns are run by hand, so that a script decides what happens between which. */
class Steps {
  time = 0
  #turns: (() => void)[] = []
  #timers: { at: number; run: () => void }[] = []

  now = (): number => this.time
  after = (ms: number, run: () => void): (() => void) => {
    const timer = { at: this.time + ms, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }
  afterTurn = (run: () => void): void => {
    this.#turns.push(run)
  }

  /** Everything that happens without time. */
  async settle(): Promise<void> {
    for (let idle = 0; idle < 6; ) {
      const turns = this.#turns.splice(0)
      for (const run of turns) run()
      await Promise.resolve()
      idle = turns.length > 0 ? 0 : idle + 1
    }
  }

  turn(): void {
    for (const run of this.#turns.splice(0)) run()
  }

  async pass(ms: number): Promise<void> {
    this.time += ms
    for (const timer of this.#timers.filter(({ at }) => at <= this.time)) {
      this.#timers = this.#timers.filter((other) => other !== timer)
      timer.run()
    }
    await Promise.resolve()
  }
}

interface Source {
  readonly items: AsyncIterable<unknown>
  feed(value: unknown): void
  end(): void
  fail(error: unknown): void
}

function source(): Source {
  const waiting: ((result: IteratorResult<unknown>) => void)[] = []
  const failing: ((error: unknown) => void)[] = []
  const end = (): void => {
    for (const resolve of waiting.splice(0)) resolve({ value: 'end', done: true })
  }
  return {
    items: {
      [Symbol.asyncIterator]: () => ({
        next: () =>
          new Promise((resolve, reject) => {
            waiting.push(resolve)
            failing.push(reject)
          }),
        return: async () => {
          end()
          return { value: undefined, done: true }
        },
      }),
    },
    feed: (value) => waiting.shift()?.({ value, done: false }),
    end,
    fail: (error) => failing.splice(0).forEach((reject) => void reject(error)),
  }
}

const methods = {
  call: untyped('p.call'),
  stream: untyped('p.stream', 'stream'),
  upload: untyped('p.upload', 'call', true),
}

async function script(
  make: Pairing,
  acts: readonly Act[],
  end: 'cut' | 'close' | 'answer',
  splitEvery: number,
): Promise<void> {
  const clock = new Steps()
  const link = faultLink({ clock, splitEvery, highWaterBytes: 3000 })
  const near = make.near(link.ends[0], { clock })
  const far = make.far(link.ends[1], { clock })
  const running: { answer(value: unknown): void; fail(error: unknown): void; feed?(value: unknown): void }[] =
    []
  const later = (): Promise<unknown> =>
    new Promise((resolve, reject) => running.push({ answer: resolve, fail: reject }))
  far.handle(methods.call, later)
  far.handle(methods.upload, async (_input, call) => {
    const answer = later()
    answer.catch(() => {})
    for await (const _ of call.upload);
    return answer
  })
  far.handle(methods.stream, () => {
    const made = source()
    running.push({ answer: made.end, fail: made.fail, feed: made.feed })
    return made.items
  })

  const calls: {
    settled: number
    controller: AbortController
    feed?: (value: unknown) => void
    read?: () => void
  }[] = []
  const bytes = 'x'.repeat(3000)
  for (const one of acts) {
    if (one.do === 'call') {
      const controller = new AbortController()
      const call: (typeof calls)[number] = { settled: 0, controller }
      calls.push(call)
      const done = (): void => {
        call.settled++
      }
      const upload = source()
      const options = { timeoutMs: one.timeoutMs, signal: controller.signal }
      const input = one.large ? new Uint8Array(40_000) : 'small'
      if (one.kind === 'stream') {
        const stream = near.stream(methods.stream, input, options)
        const reader = stream[Symbol.asyncIterator]()
        call.read = () => void reader.next().catch(() => {})
        stream.output.then(done, done)
      } else {
        const given = one.kind === 'upload' ? { ...options, upload: upload.items } : options
        near.call(one.kind === 'upload' ? methods.upload : methods.call, input, given).then(done, done)
        if (one.kind === 'upload') {
          call.feed = (value) => (value === 'end' ? upload.end() : upload.feed(value))
        }
      }
    } else if (one.do === 'pass') await clock.pass(one.ms)
    else if (one.do === 'stall') link.stall()
    else if (one.do === 'resume') link.resume()
    else if (one.do === 'turn') {
      clock.turn()
      await Promise.resolve()
    } else if ('which' in one) {
      const call = calls[one.which % Math.max(1, calls.length)]
      const handler = running[one.which % Math.max(1, running.length)]
      if (one.do === 'cancel') call?.controller.abort()
      else if (one.do === 'read') call?.read?.()
      else if (one.do === 'feed') call?.feed?.(one.which === 7 ? 'end' : bytes)
      else if (one.do === 'item') handler?.feed?.(bytes)
      else if (one.do === 'answer') handler?.answer(one.which)
      else handler?.fail(new Error('thrown'))
      await Promise.resolve()
    }
    if (calls.some(({ settled }) => settled > 1)) throw new Error('settled twice')
  }
  if (end === 'answer') {
    link.resume()
    await clock.settle()
    for (const call of calls) {
      call.feed?.('end')
      for (let item = 0; item < 20; item++) call.read?.()
    }
    await clock.settle()
    for (const handler of running) handler.answer('last')
    await clock.settle()
    for (const call of calls) call.feed?.('end')
    await clock.settle()
    await clock.pass(1000)
    await clock.settle()
    for (const handler of running) handler.answer('last')
    await clock.settle()
    if (near.isClosed || far.isClosed) throw new Error('the link broke')
  } else if (end === 'cut') link.cut()
  else far.close()
  link.resume()
  await clock.settle()
  const open = [near.openCalls, far.openCalls]
  const counts = calls.map(({ settled }) => settled)
  near.close()
  far.close()
  await clock.settle()
  expect(counts).toEqual(calls.map(() => 1))
  // Both sides agree: nothing is open at either.
  expect(open).toEqual([0, 0])
}

test.each(peers)(
  'an exchange settles once, and both sides agree, whatever crosses what ($name)',
  async (pairing) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(act, { maxLength: 20 }),
        fc.constantFrom('cut' as const, 'close' as const, 'answer' as const),
        fc.constantFrom(61, 1000, 100_000),
        (acts, end, splitEvery) => script(pairing, acts, end, splitEvery),
      ),
      { numRuns: RUNS },
    )
  },
)

test.each(nears)('errors of links say what became of the call ($name)', async (pairing) => {
  const clock = new Steps()
  const link = faultLink({ clock })
  const near = pairing.near(link.ends[0], { clock })
  const call = near.call(methods.call, 1).catch((error: unknown) => error)
  link.cut()
  await clock.settle()
  const error = await call
  expect(isViaductError(error) && error.fate).toBe('unknown')
})
