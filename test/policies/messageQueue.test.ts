import { getEventListeners } from 'node:events'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MessageQueue } from '../../src/policies/messageQueue.ts'
import { VirtualClock } from '../../src/testing/index.ts'
import { refusal } from '../support/hubRig.ts'

/** Whether a promise has settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const settle = (): void => {
    settled = true
  }
  promise.then(settle, settle)
  for (let job = 0; job < 10; job++) await Promise.resolve()
  return settled
}

function small(more = {}) {
  const clock = new VirtualClock()
  return { clock, queue: new MessageQueue<number>({ capacity: 10, clock, ...more }) }
}

async function filled(queue: MessageQueue<number>, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await queue.enqueue(n)
}

describe('MessageQueue', () => {
  it('is made for 1,000 messages, pauses at 800 and resumes at 200', () => {
    expect(new MessageQueue()).toMatchObject({ capacity: 1000, highWaterMark: 800, lowWaterMark: 200 })
    expect(new MessageQueue({ capacity: 50 })).toMatchObject({ highWaterMark: 40, lowWaterMark: 10 })
    expect(new MessageQueue({ capacity: 1 })).toMatchObject({ highWaterMark: 1, lowWaterMark: 0 })
  })

  it('lets enqueue wait from the high mark until no more than the low mark are left', async () => {
    const { queue } = small()
    await filled(queue, 8)
    const waiting = [queue.enqueue(8), queue.enqueue(9)]
    expect(await queue.size()).toBe(8)
    for (let n = 0; n < 5; n++) expect(await queue.dequeue(0)).toBe(n)
    expect(await isSettled(waiting[0] as Promise<void>)).toBe(false)
    // Paused is paused, though there is room: whoever comes stands behind those who wait.
    const last = queue.enqueue(10)
    expect(await queue.dequeue(0)).toBe(5)
    await Promise.all([...waiting, last])
    expect(await queue.size()).toBe(5)
    for (const n of [6, 7, 8, 9, 10]) expect(await queue.dequeue(0)).toBe(n)
    expect(await queue.dequeue(0)).toBe(null)
  })

  it('dequeue waits for so long, gets what comes, and null when nothing does', async () => {
    const { clock, queue } = small()
    const [first, second, third] = [queue.dequeue(100), queue.dequeue(50), queue.dequeue()]
    await queue.enqueue(1)
    expect(await first).toBe(1)
    await clock.advance(49)
    expect(await isSettled(second)).toBe(false)
    await clock.advance(1)
    expect(await second).toBe(null)
    await clock.advance(1e9)
    expect(await isSettled(third)).toBe(false)
    await queue.enqueue(2)
    expect(await third).toBe(2)
    expect(clock.pending).toBe(0)
    expect(await queue.size()).toBe(0)
  })

  it('keeps the order, loses nothing and adds nothing, whoever waits for what', async () => {
    const step = fc.constantFrom('put', 'take')
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 120 }),
        fc.integer({ min: 1, max: 12 }),
        async (steps, capacity) => {
          const queue = new MessageQueue<number>({ capacity, maxWaiting: 1000 })
          const taken: Promise<number | null>[] = []
          const put: Promise<void>[] = []
          for (const one of steps) {
            if (one === 'put') put.push(queue.enqueue(put.length))
            else taken.push(queue.dequeue())
            expect(queue.length).toBeLessThanOrEqual(queue.highWaterMark)
          }
          // Who waits is served in its order, too.
          while (taken.length < put.length) taken.push(queue.dequeue())
          await Promise.all(put)
          queue.close()
          const all = await Promise.all(taken)
          expect(all).toEqual(taken.map((_, n) => (n < put.length ? n : null)))
        },
      ),
    )
  })

  it('clear throws away what is in it, and lets those who wait go on', async () => {
    const { queue } = small()
    await filled(queue, 8)
    const waiting = queue.enqueue(8)
    await queue.clear()
    await waiting
    expect(await queue.dequeue(0)).toBe(8)
    expect(await queue.size()).toBe(0)
  })

  it('a signal ends a wait of either side, and nothing is added or taken', async () => {
    const { clock, queue } = small()
    const reading = new AbortController()
    const read = refusal(queue.dequeue(1000, { signal: reading.signal }))
    reading.abort('enough')
    expect(await read).toMatchObject({ code: 'CANCELLED', cause: 'enough' })
    expect(clock.pending).toBe(0)
    await filled(queue, 8)
    const sending = new AbortController()
    const gone = refusal(queue.enqueue(8, { signal: sending.signal }))
    const stays = queue.enqueue(9)
    sending.abort()
    expect(await gone).toMatchObject({ code: 'CANCELLED', fate: 'not-sent' })
    for (let n = 0; n < 8; n++) expect(await queue.dequeue(0)).toBe(n)
    await stays
    expect(await queue.dequeue(0)).toBe(9)
    // Nothing of a wait that is over hangs on to a signal that lives on.
    const long = new AbortController()
    const got = queue.dequeue(1000, { signal: long.signal })
    await queue.enqueue(1)
    expect(await got).toBe(1)
    expect(getEventListeners(long.signal, 'abort')).toEqual([])
    expect(await refusal(queue.enqueue(1, { signal: sending.signal }))).toMatchObject({ code: 'CANCELLED' })
    expect(await queue.size()).toBe(0)
  })

  it('bounds who waits, by name', async () => {
    const { queue } = small({ maxWaiting: 2 })
    await filled(queue, 8)
    const waiting = [queue.enqueue(8), queue.enqueue(9)]
    expect(await refusal(queue.enqueue(10))).toMatchObject({ reason: 'QUEUE_FULL', fate: 'not-sent' })
    await queue.clear()
    await Promise.all(waiting)
    await queue.clear()
    const readers = [queue.dequeue(), queue.dequeue()]
    expect(await refusal(queue.dequeue())).toMatchObject({ reason: 'QUEUE_FULL' })
    queue.close()
    expect(await Promise.all(readers)).toEqual([null, null])
  })

  it('close settles everything; what is in it can be taken still', async () => {
    const { queue } = small()
    await filled(queue, 8)
    const waiting = refusal(queue.enqueue(8))
    queue.close()
    expect(await waiting).toMatchObject({ code: 'UNAVAILABLE', reason: 'QUEUE_CLOSED', fate: 'not-sent' })
    expect(await refusal(queue.enqueue(9))).toMatchObject({ reason: 'QUEUE_CLOSED' })
    for (let n = 0; n < 8; n++) expect(await queue.dequeue()).toBe(n)
    expect(await queue.dequeue()).toBe(null)
  })

  it.each([
    [{ capacity: 0 }, 'capacity'],
    [{ capacity: 1.5 }, 'capacity'],
    [{ highWaterMark: 0.8 }, 'highWaterMark'],
    [{ highWaterMark: 1001 }, 'highWaterMark'],
    [{ lowWaterMark: 800 }, 'lowWaterMark'],
    [{ lowWaterMark: -1 }, 'lowWaterMark'],
    [{ maxWaiting: 0 }, 'maxWaiting'],
    [{ highWatermark: 1 }, 'highWatermark'],
  ])('%o is refused with its name', (options: object, name) => {
    expect(() => new MessageQueue(options)).toThrow(
      expect.objectContaining({ reason: 'BAD_OPTION', path: `messageQueue.${name}` }),
    )
  })
})
