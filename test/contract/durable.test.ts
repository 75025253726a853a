import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { client } from '../../src/contract/client.ts'
import { compareContract } from '../../src/contract/compatibility.ts'
import { contract, method } from '../../src/contract/contract.ts'
import type { DurableSender } from '../../src/contract/durable.ts'
import { serve } from '../../src/contract/serve.ts'
import { ContextView } from '../../src/core/contextView.ts'
import type { Interceptor } from '../../src/core/interceptor.ts'
import { mock } from '../../src/testing/mock.ts'
import { DirectLink, failure } from './directLink.ts'

const history = contract('history', {
  append: method({
    input: z.object({ row: z.string(), times: z.number().default(1) }),
    delivery: 'at-least-once',
  }),
  recent: method({ output: z.number() }),
})

describe('a durable method', () => {
  it('goes to what keeps it, with its target, and not over the link', async () => {
    const link = Object.assign(new DirectLink(), { target: { type: 'worker' } })
    const send = vi.fn<DurableSender['send']>(async () => ({ id: 'r1' }))
    const seen = vi.fn()
    const policy: Interceptor = (next) => (call) => {
      seen()
      return next(call)
    }
    const api = client(link, history, { durable: { send }, policies: [policy] })
    expect(await api.append({ row: 'a' }, { priority: 'low' })).toEqual({ id: 'r1' })
    expect(send.mock.calls).toEqual([[history.append, { row: 'a' }, { priority: 'low' }, { type: 'worker' }]])
    expect(link.lastOptions).toBeUndefined()
    expect(seen).not.toHaveBeenCalled()
  })

  it('says what to do where nothing keeps it; the other methods go on', async () => {
    const link = new DirectLink()
    serve(link, history, { recent: () => 3 }, { partial: true })
    const api = client(link, history)
    const expected = {
      code: 'FAILED_PRECONDITION',
      reason: 'MAILBOXES_MISSING',
      path: 'history.append',
      fate: 'not-sent',
      message: expect.stringContaining('client() { durable: await mailboxes({ root }) }'),
    }
    expect(await failure(() => api.append({ row: '' }))).toMatchObject(expected)
    expect(await api.recent()).toBe(3)
    const all = { append: () => {}, recent: () => 4 }
    const other = new DirectLink()
    expect(() => serve(other, history, all)).toThrow(
      expect.objectContaining({ ...expected, message: expect.stringContaining('serve() {') }),
    )
    expect(other.handlers.size).toBe(0)
  })

  it('is served where it is kept, checked, behind the policies, with its delivery', async () => {
    const [link, mailboxes] = [new DirectLink(), new DirectLink()]
    const rows: unknown[] = []
    const delivery = { id: 'm1', attempt: 2, sender: 'somebody', extend: () => {} }
    const delivered: Interceptor = (next) => (call) =>
      call.side === 'callee' ? next({ ...call, context: new ContextView(call.context) }) : next(call)
    const serving = serve(
      link,
      history,
      {
        append: (input, call) => void rows.push(input, call.delivery),
        recent: () => 0,
      },
      { durable: mailboxes, policies: [delivered] },
    )
    expect([[...link.handlers.keys()], [...mailboxes.handlers.keys()]]).toEqual([
      ['history.recent'],
      ['history.append'],
    ])
    mailboxes.delivery = delivery
    await mailboxes.call(history.append, { row: 'a' })
    expect(rows).toEqual([{ row: 'a', times: 1 }, delivery])
    expect(await failure(() => mailboxes.call(history.append, { row: 1 }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_INPUT',
      fate: 'not-sent',
      path: 'input.row',
    })
    expect(rows).toHaveLength(2)
    await serving.withdraw()
    expect([link.handlers.size, mailboxes.handlers.size]).toEqual([0, 0])
  })

  it('is nothing that a route must offer', () => {
    const route = [{ name: 'history.recent', status: 0, same: true }]
    expect(compareContract(history, route)).toMatchObject({ compatible: true, missing: [] })
    expect(compareContract(history, [])).toMatchObject({ compatible: false, missing: ['recent'] })
  })

  it('is mocked where it is kept', async () => {
    const [link, mailboxes] = [new DirectLink(), new DirectLink()]
    const mocked = mock(history, { append: () => {} })
    mocked.serveAt(link)
    expect([...link.handlers.keys()]).toEqual(['history.recent'])
    mocked.serveAt(new DirectLink(), { durable: mailboxes })
    await mailboxes.call(history.append, { row: 'b', times: 2 })
    expect(mocked.calls.append.map(({ input }) => input)).toEqual([{ row: 'b', times: 2 }])
  })
})
