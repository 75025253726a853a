/** Trace context and idempotency key travel with a call through a hub, beside functions in its input. */
import { expect, it } from 'vitest'
import { memoryHub } from '../../src/testing/index.ts'

it('marks stand behind REFERENCES: the hub counts the functions, the handler sees all three', async () => {
  const hub = memoryHub()
  const worker = hub.peer('worker-1')
  worker.handle('m', async (input, call) => {
    const step: unknown = Reflect.get(Object(input), 'step')
    if (typeof step !== 'function') throw new Error('no function came')
    return [await step(2), call.traceparent, call.idempotencyKey]
  })
  const main = hub.peer('main')
  await new Promise(setImmediate)
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
  const answer = await main.call(
    'm',
    { step: (n: number) => n * 2 },
    { target: { id: 'worker-1' }, traceparent, idempotencyKey: 'k-1' },
  )
  expect(answer).toEqual([4, traceparent, 'k-1'])
  hub.close()
})
