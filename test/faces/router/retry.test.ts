/** What is sent again, when, and what is not: `options.retryCount`, `sendWithRetry`, and the jitter of both. */
import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { Latest } from '../../../src/core/latest.ts'
import {
  addJitter,
  defaultRetryPolicy,
  type IPCMessage,
  type IPCResponse,
  IPCRouter,
  sendWithRetry,
} from '../../../src/faces/router/index.ts'
import { type MemoryHub, memoryHub, VirtualClock } from '../../../src/testing/index.ts'
import { refusal } from '../../support/hubRig.ts'

const made: MemoryHub[] = []
afterEach(() => {
  for (const hub of made.splice(0)) hub.close()
})

async function pair(): Promise<{ clock: VirtualClock; main: IPCRouter; worker: IPCRouter; hub: MemoryHub }> {
  const clock = new VirtualClock()
  const hub = memoryHub({ clock })
  made.push(hub)
  const [main, worker] = ['main', 'worker-1'].map((id) => new IPCRouter(hub.peer(id), { hub: undefined }))
  if (!main || !worker) throw new Error('no routers')
  return { clock, main, worker, hub }
}

function message(options: object = {}): IPCMessage {
  return {
    id: randomUUID(),
    type: 'request',
    source: 'main',
    target: 'worker-1',
    method: 'work',
    args: [],
    options,
  }
}

const fast = { ...defaultRetryPolicy, initialDelayMs: 1, addJitter: (delay: number) => -delay }

describe('options.retryCount', () => {
  it.each([
    [true, 3],
    [false, 1],
  ])('idempotent %s: a handler that never answers runs %d times', async (idempotent, runs) => {
    const { clock, main, worker } = await pair()
    const ids: string[] = []
    worker.registerHandler(
      'work',
      (_, { message: { id } }) => {
        ids.push(id)
        return new Promise(() => {})
      },
      { idempotent },
    )
    await clock.settle()
    const sent = message({ timeout: 1000, retryCount: 2 })
    const sending = main.send(sent)
    await clock.advance(20_000)
    expect(await sending).toMatchObject({
      status: 'timeout',
      error: { code: 'TIMEOUT', retryable: idempotent },
    })
    expect(ids).toEqual(Array.from({ length: runs }, () => sent.id))
  })

  it('tries again what was never delivered, whatever the method', async () => {
    const { clock, main, hub } = await pair()
    const sending = main.send({ ...message({ retryCount: 5, timeout: 1000 }), target: 'worker-2' })
    await clock.settle()
    const late = new IPCRouter(hub.peer('worker-2'), { hub: undefined })
    late.registerHandler('work', () => 'late')
    await clock.advance(10_000)
    expect(await sending).toMatchObject({ status: 'ok', result: 'late' })
  })

  it('without it nothing is tried again', async () => {
    const { clock, main, hub } = await pair()
    const response = await main.send({ ...message(), target: 'worker-2' })
    expect(response).toMatchObject({ error: { code: 'TARGET_UNAVAILABLE', retryable: true } })
    expect(clock.now()).toBe(0)
    expect(hub.core.traffic.rows().filter(({ to }) => to === 'worker-2')).toEqual([])
  })

  it('never tries again what a handler refused', async () => {
    const { clock, main, worker } = await pair()
    let runs = 0
    worker.registerHandler(
      'work',
      () => {
        runs++
        throw new Error('no')
      },
      { idempotent: true },
    )
    await clock.settle()
    const sending = main.send(message({ retryCount: 3 }))
    await clock.advance(10_000)
    expect(await sending).toMatchObject({ error: { code: 'HANDLER_ERROR', retryable: false } })
    expect(runs).toBe(1)
  })

  it('has a budget over all messages of the router', async () => {
    const { clock, main, worker } = await pair()
    let runs = 0
    worker.registerHandler(
      'work',
      () => {
        runs++
        return new Promise(() => {})
      },
      { idempotent: true },
    )
    await clock.settle()
    const all = Array.from({ length: 20 }, () => main.send(message({ timeout: 10, retryCount: 5 })))
    await clock.advance(9_000)
    await Promise.all(all)
    expect(runs).toBe(30)
  })
})

/** A router whose responses are given. */
function scripted(...script: (Partial<IPCResponse> | boolean)[]): {
  sent: IPCMessage[]
  send(m: IPCMessage): Promise<IPCResponse>
} {
  const sent: IPCMessage[] = []
  return {
    sent,
    async send(one) {
      const next = script[sent.length] ?? true
      sent.push(one)
      const error = { code: 'X', message: String(sent.length), retryable: next === true }
      const failed: IPCResponse = { requestId: one.id, status: 'error', error, duration: 0 }
      return typeof next === 'boolean' ? failed : { requestId: one.id, status: 'ok', duration: 0, ...next }
    },
  }
}

describe('sendWithRetry', () => {
  it('sends while the response says that it may, and resolves to the last one', async () => {
    const router = scripted()
    const sent = message()
    expect(await sendWithRetry(sent, fast, router)).toMatchObject({ error: { message: '4' } })
    expect(router.sent).toEqual([sent, sent, sent, sent])
  })

  it('stops at the first that is ok, or may not be sent again', async () => {
    const recovers = scripted(true, { status: 'ok', result: 1 })
    expect(await sendWithRetry(message(), fast, recovers)).toMatchObject({ status: 'ok', result: 1 })
    expect(recovers.sent.length).toBe(2)
    const gives = scripted(true, false)
    expect(await sendWithRetry(message(), fast, gives)).toMatchObject({ error: { message: '2' } })
    expect(gives.sent.length).toBe(2)
    const once = scripted()
    await sendWithRetry(message(), { ...fast, maxRetries: 0 }, once)
    expect(once.sent.length).toBe(1)
  })

  it('asks the policy for the jitter of each delay, which grows up to its bound', async () => {
    const delays: number[] = []
    const policy = {
      ...defaultRetryPolicy,
      ...{ maxRetries: 5, initialDelayMs: 2, maxDelayMs: 20, backoffMultiplier: 3 },
      addJitter: (delay: number) => {
        delays.push(delay)
        return -delay
      },
    }
    await sendWithRetry(message(), policy, scripted())
    expect(delays).toEqual([2, 6, 18, 20, 20])
  })

  it('waits for the delay and its jitter', async () => {
    const began = performance.now()
    await sendWithRetry(
      message(),
      { ...fast, maxRetries: 1, initialDelayMs: 60, addJitter: () => -10 },
      scripted(),
    )
    expect(performance.now() - began).toBeGreaterThanOrEqual(49)
  })

  it('takes the router that was opened last and is open still', async () => {
    const sent = message()
    expect(await refusal(sendWithRetry(sent, fast))).toMatchObject({ reason: 'NOT_OPEN' })
    const first = await pair()
    const second = await pair()
    for (const { worker, main } of [first, second]) {
      worker.registerHandler('work', (_, { peer }) => peer.id)
      worker.peer.close()
      // The worker was made last in each pair.
      main.registerHandler('mine', () => main === second.main)
    }
    await Promise.all([first.clock.settle(), second.clock.settle()])
    const own = { ...sent, target: 'main', method: 'mine' } as IPCMessage
    expect(await sendWithRetry(own, fast)).toMatchObject({ result: true })
    second.main.peer.close()
    await second.clock.settle()
    expect(await sendWithRetry(own, fast)).toMatchObject({ result: false })
  })
})

describe('addJitter', () => {
  it('is uniform in −d … 0: the sum is full jitter', () => {
    const bins = Array.from({ length: 10 }, () => 0)
    for (let round = 0; round < 20_000; round++) {
      const sum = 500 + addJitter(500)
      expect(sum >= 0 && sum <= 500).toBe(true)
      const bin = Math.min(9, Math.floor(sum / 50))
      bins[bin] = (bins[bin] ?? 0) + 1
    }
    // 2,000 each; one that is off by 300 is 7 deviations off.
    for (const count of bins) expect(Math.abs(count - 2000)).toBeLessThan(300)
    expect(defaultRetryPolicy).toEqual({
      ...{ maxRetries: 3, initialDelayMs: 100, maxDelayMs: 5000, backoffMultiplier: 2 },
      addJitter,
    })
  })
})

describe('what was opened last', () => {
  it('is the newest that is open', async () => {
    const latest = new Latest<string>()
    expect(latest.get()).toBe(undefined)
    let close = (): void => {}
    latest.add('a', new Promise(() => {}))
    latest.add('b', new Promise<void>((resolve) => (close = resolve)))
    expect(latest.get()).toBe('b')
    close()
    await new Promise((resolve) => setImmediate(resolve))
    expect(latest.get()).toBe('a')
    latest.add('c', Promise.reject(new Error('x')))
    await new Promise((resolve) => setImmediate(resolve))
    expect(latest.get()).toBe('a')
  })
})
