/** What becomes of messages: routing, outcomes, batches, broadcasts; within one process, over the real hub. */
import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type HandlerContext,
  type IPCMessage,
  type IPCResponse,
  IPCRouter,
} from '../../../src/faces/router/index.ts'
import type { Rules } from '../../../src/hub/manifest.ts'
import { ViaductError } from '../../../src/index.ts'
import { type MemoryHub, memoryHub, VirtualClock } from '../../../src/testing/index.ts'
import { refusal } from '../../support/hubRig.ts'

type Request = Extract<IPCMessage, { readonly method: string }>

let hub: MemoryHub | undefined
afterEach(() => hub?.close())

function routers<Id extends string>(
  ids: readonly Id[],
  options: { manifest?: Rules; clock?: VirtualClock; debug?: boolean } = {},
): Record<Id, IPCRouter<undefined>> {
  const { debug = false, ...rest } = options
  const made = memoryHub(rest)
  hub = made
  const entries = ids.map((id) => [id, new IPCRouter(made.peer(id), { hub: undefined, debug })] as const)
  return Object.fromEntries(entries) as Record<Id, IPCRouter<undefined>>
}

function message(source: string, method: string, more: Partial<Request> = {}): Request {
  return { id: randomUUID(), type: 'request', source, method, args: [], ...more }
}

/** Settles when the hub knows what they have registered. */
async function told(all: object): Promise<void> {
  const each: IPCRouter<undefined>[] = Object.values(all)
  await Promise.all(each.map(({ peer }) => peer.ready()))
}

const codes = (responses: readonly IPCResponse[]) => responses.map(({ error }) => error?.code)

describe('send', () => {
  it('reaches the target with every field, and resolves to what its handler returns', async () => {
    const all = routers(['main', 'worker-1'])
    const { main, 'worker-1': worker } = all
    const seen: HandlerContext[] = []
    worker.registerHandler('work.add', ([one, two]: [number, number], context) => {
      seen.push(context)
      return one + two
    })
    await told(all)
    const sent = message('main', 'work.add', { args: [1, 2], target: 'worker-1' })
    const before = Date.now()
    const response = await main.send(sent)
    expect(response).toEqual({ requestId: sent.id, status: 'ok', result: 3, duration: expect.any(Number) })
    expect(response.duration).toBeGreaterThanOrEqual(0)
    const { message: arrived, peer } = seen[0] ?? {}
    expect(peer?.id).toBe('main')
    expect(arrived).toEqual({
      id: sent.id,
      sequence: 1,
      type: 'request',
      source: 'main',
      target: 'worker-1',
      method: 'work.add',
      args: [1, 2],
      options: { timeout: 5000, priority: 'normal', requiresResponse: true, retryCount: 0 },
      timestamp: expect.any(Number),
      processId: process.pid,
      threadId: 0,
    })
    expect(arrived?.timestamp).toBeGreaterThanOrEqual(before)
    expect(arrived?.timestamp).toBeLessThanOrEqual(Date.now())
    await main.send(
      message('main', 'work.add', { args: [1, 2], sequence: 70, timestamp: 5, processId: 1, threadId: 9 }),
    )
    await main.sendTo('worker-1', message('main', 'work.add', { args: [1, 2] }))
    expect(seen.map(({ message: { sequence } }) => sequence)).toEqual([1, 70, 2])
    expect(seen[1]?.message).toMatchObject({ timestamp: 5, processId: process.pid, threadId: 0 })
  })

  it('without a target reaches main first; sendTo reaches the one that is named', async () => {
    const all = routers(['main', 'worker-1', 'worker-2'])
    const { main, 'worker-1': one, 'worker-2': two } = all
    one.registerHandler('who', () => 'worker-1')
    two.registerHandler('who', () => 'worker-2')
    await told(all)
    expect(await two.call('who')).toMatch(/^worker-[12]$/)
    const serving = main.registerHandler('who', () => 'main')
    await told(all)
    expect([await one.call('who'), await two.call('who')]).toEqual(['main', 'main'])
    expect((await one.sendTo('worker-2', message('worker-1', 'who', { target: 'main' }))).result).toBe(
      'worker-2',
    )
    await serving.withdraw()
    await told(all)
    expect(await two.call('who')).toMatch(/^worker-[12]$/)
  })

  it('has a response for every outcome', async () => {
    const all = routers(['main', 'worker-1'])
    const { main, 'worker-1': worker } = all
    let started = (): void => {}
    worker.registerNamespace('fails', {
      plain: () => Promise.reject(new Error('broken')),
      declared: () => {
        throw new ViaductError('NOT_FOUND', 'no such page', { reason: 'NO_PAGE' })
      },
      late: () => {
        throw new ViaductError('UNAVAILABLE', 'later')
      },
      never: () => {
        started()
        return new Promise(() => {})
      },
    })
    await told(all)
    const send = (method: string, more: Partial<Request> = {}) => main.send(message('main', method, more))
    expect(await send('fails.plain')).toMatchObject({
      status: 'error',
      error: { code: 'HANDLER_ERROR', message: 'broken', retryable: false },
    })
    expect(await send('fails.declared')).toMatchObject({ status: 'error', error: { code: 'NO_PAGE' } })
    expect(await send('fails.late')).toMatchObject({ error: { code: 'UNAVAILABLE', retryable: false } })
    expect(await send('fails.nowhere')).toMatchObject({
      error: { code: 'METHOD_NOT_FOUND', retryable: false },
    })
    expect(await send('fails.plain', { target: 'worker-9' })).toMatchObject({
      error: { code: 'TARGET_UNAVAILABLE', retryable: true },
    })
    expect(await send('fails.never', { options: { timeout: 20 } })).toMatchObject({
      status: 'timeout',
      error: { code: 'TIMEOUT', retryable: false },
    })
    expect(await send('fails.plain', { args: [Symbol('s')] })).toMatchObject({
      status: 'error',
      error: { code: 'UNSENDABLE' },
    })
    const running = new Promise<void>((resolve) => (started = resolve))
    const pending = send('fails.never')
    await running
    worker.peer.close()
    expect(await pending).toMatchObject({ error: { code: 'TARGET_UNAVAILABLE', retryable: false } })
    main.peer.close()
    expect(await send('fails.plain')).toMatchObject({
      error: { code: 'TARGET_UNAVAILABLE', retryable: true },
    })
    expect((await send('fails.plain')).error).not.toHaveProperty('stack')
  })

  it('carries stacks in debug mode alone', async () => {
    const all = routers(['main'], { debug: true })
    const { main } = all
    main.registerHandler('fail', () => {
      throw new Error('x')
    })
    await told(all)
    const { error } = await main.send(message('main', 'fail'))
    expect(error?.stack).toContain('x')
  })

  it('refuses what is malformed, a response, and a source that is somebody else', async () => {
    const all = routers(['main', 'worker-1'])
    const { main, 'worker-1': worker } = all
    let ran = 0
    worker.registerHandler('work', () => ran++)
    await told(all)
    const id = randomUUID()
    const bad: readonly (readonly [unknown, string])[] = [
      [{ ...message('main', 'work'), id: 'one' }, 'id'],
      [{ ...message('main', 'constructor') }, 'method'],
      [{ ...message('main', 'work'), type: 'response' }, 'type'],
      [{ ...message('main', 'work'), options: { timeout: -1 } }, 'options.timeout'],
      [{ id, type: 'batch', source: 'main', args: [{ method: 'work', args: [] }, {}] }, 'args[1].method'],
      [null, 'type'],
      [undefined, 'type'],
    ]
    for (const [data, path] of bad) {
      const response = await main.send(data as IPCMessage)
      expect(response, path).toMatchObject({
        status: 'error',
        error: { code: 'INVALID_MESSAGE', retryable: false },
      })
      expect(response.error?.message).toContain(`IPCMessage: ${path}: `)
    }
    expect(await main.send(message('worker-1', 'work'))).toMatchObject({
      error: { code: 'PERMISSION_DENIED' },
    })
    expect(ran).toBe(0)
  })

  it('checks again where a message arrives: the source is the link’s word', async () => {
    const all = routers(['main', 'worker-1'])
    const { main, 'worker-1': worker } = all
    const ran: unknown[] = []
    worker.registerHandler('work', (args) => ran.push(args))
    await told(all)
    const well = {
      ...message('main', 'work'),
      ...{ sequence: 1, timestamp: 1, processId: 1, threadId: 0 },
    }
    const give = (input: unknown) => main.peer.call('work', input, { target: { any: true } })
    expect(await refusal(give({ ...well, source: 'worker-1' }))).toMatchObject({
      code: 'PERMISSION_DENIED',
      path: 'source',
    })
    for (const [change, path] of [
      [{ method: 'other' }, 'method'],
      [{ type: 'response' }, 'type'],
      [{ type: 'batch' }, 'type'],
      [{ threadId: -1 }, 'threadId'],
      [{ args: [JSON.parse('{"__proto__":1}')] }, 'args[0].__proto__'],
    ] as const)
      expect(await refusal(give({ ...well, ...change })), path).toMatchObject({
        reason: 'INVALID_MESSAGE',
        path,
      })
    expect(await refusal(give([1]))).toMatchObject({ reason: 'INVALID_MESSAGE', path: 'message' })
    expect(ran).toEqual([])
    await give(well)
    expect(ran).toEqual([[]])
  })

  it('one way resolves at once, and says when it was not taken', async () => {
    const all = routers(['main', 'worker-1'])
    const { main, 'worker-1': worker } = all
    const heard: string[] = []
    let wake = (): void => {}
    worker.registerHandler('log', ([text]: [string], context) => {
      heard.push(`${context.message.type} ${text}`)
      if (heard.length === 3) wake()
      throw new Error('nobody hears')
    })
    await told(all)
    const whole = new Promise<void>((resolve) => (wake = resolve))
    const send = (args: unknown[], more: Partial<Request> = {}) =>
      main.send(message('main', 'log', { type: 'notification', target: 'worker-1', args, ...more }))
    expect(await send(['a'])).toMatchObject({ status: 'ok', result: undefined })
    await send(['b'], { type: 'request', options: { requiresResponse: false } })
    await send(['c'], { options: { priority: 'low', requiresResponse: true } })
    await whole
    expect(heard.sort()).toEqual(['notification a', 'notification c', 'request b'])
    expect(await send([Symbol('s')])).toMatchObject({ error: { code: 'UNSENDABLE' } })
    main.peer.close()
    expect(await send(['d'])).toMatchObject({ error: { code: 'TARGET_UNAVAILABLE' } })
  })
})

describe('handlers', () => {
  it('are registered all or none, and withdrawn', async () => {
    const all = routers(['main'])
    const { main } = all
    const serving = main.registerNamespace('a', { one: () => 1, two: () => 2 })
    await told(all)
    expect([await main.call('a.one'), await main.call('a.two')]).toEqual([1, 2])
    expect(() => main.registerNamespace('a', { zero: () => 0, two: () => 22 })).toThrow(/served here already/)
    await told(all)
    expect(await refusal(main.call('a.zero'))).toMatchObject({ reason: 'METHOD_NOT_FOUND' })
    expect(await main.call('a.two')).toBe(2)
    await serving.withdraw()
    await told(all)
    expect(await refusal(main.call('a.one'))).toMatchObject({ reason: 'METHOD_NOT_FOUND' })
    for (const name of ['constructor', '$hub.who', '', 'a..b'])
      expect(() => main.registerHandler(name, () => 1), name).toThrow(/IPCMessage: method/)
  })

  it('give what call throws', async () => {
    const all = routers(['main', 'worker-1'])
    const { main, 'worker-1': worker } = all
    worker.registerHandler('fail', () => Promise.reject(new TypeError('no')))
    await told(all)
    expect(await refusal(main.call('fail'))).toMatchObject({ reason: 'HANDLER_ERROR', message: 'no' })
    expect(await refusal(main.call('bad name'))).toMatchObject({ reason: 'INVALID_MESSAGE', path: 'method' })
  })

  it('measure their own time', async () => {
    const clock = new VirtualClock()
    const all = routers(['main', 'worker-1'], { clock })
    const { main, 'worker-1': worker } = all
    worker.registerHandler('slow', () => new Promise((resolve) => clock.after(300, () => resolve('done'))))
    await told(all)
    const sent = main.send(message('main', 'slow', { target: 'worker-1' }))
    await clock.advance(1000)
    expect(await sent).toMatchObject({ result: 'done', duration: 300 })
  })

  it('may be another peer’s, whose output is the result', async () => {
    const all = routers(['main', 'worker-1'])
    const { main, 'worker-1': worker } = all
    worker.peer.handle('plain', () => ({ result: 1 }))
    await told(all)
    expect(await main.send(message('main', 'plain'))).toMatchObject({ status: 'ok', result: { result: 1 } })
  })
})

describe('a batch', () => {
  it('settles item by item, each a message of its own', async () => {
    const all = routers(['main', 'worker-1'])
    const { main, 'worker-1': worker } = all
    const seen: HandlerContext['message'][] = []
    worker.registerHandler('twice', ([value]: [number], context) => {
      seen.push(context.message)
      if (value < 0) throw new Error('negative')
      return value * 2
    })
    const batch: IPCMessage = {
      id: randomUUID(),
      type: 'batch',
      source: 'main',
      args: [
        { method: 'twice', args: [1] },
        { method: 'twice', args: [-1] },
        { method: 'nowhere', args: [] },
      ],
    }
    await told(all)
    const response = await main.send(batch)
    expect(response).toMatchObject({
      requestId: batch.id,
      status: 'error',
      error: { code: 'HANDLER_ERROR', message: '2 of 3 failed, the first: negative', retryable: false },
    })
    const items = response.result as IPCResponse[]
    expect(codes(items)).toEqual([undefined, 'HANDLER_ERROR', 'METHOD_NOT_FOUND'])
    expect(items[0]?.result).toBe(2)
    expect(seen.map(({ type, sequence }) => [type, sequence])).toEqual([
      ['request', 1],
      ['request', 2],
    ])
    expect(new Set([batch.id, ...seen.map(({ id }) => id)]).size).toBe(3)
    expect(seen.map(({ id }) => id)).toEqual(items.slice(0, 2).map(({ requestId }) => requestId))
    expect(await main.send({ ...batch, args: [] })).toMatchObject({ status: 'ok', result: [] })
  })

  it('may be sent again when each of its items may', async () => {
    const all = routers(['main'])
    const { main } = all
    const item = { method: 'x', args: [] }
    const batch = {
      id: randomUUID(),
      type: 'batch',
      source: 'main',
      target: 'worker-7',
      args: [item, item],
    } as const
    expect((await main.send(batch)).error).toMatchObject({ code: 'TARGET_UNAVAILABLE', retryable: true })
  })

  it('one way is as many notifications', async () => {
    const all = routers(['main', 'worker-1'])
    const { main, 'worker-1': worker } = all
    const types: string[] = []
    const both = new Promise<void>((resolve) => {
      worker.registerHandler('log', (_, context) => {
        if (types.push(context.message.type) === 2) resolve()
      })
    })
    await told(all)
    const item = { method: 'log', args: [1] }
    const response = await main.send({
      ...{ id: randomUUID(), type: 'batch', source: 'main', target: 'worker-1', args: [item, item] },
      options: { requiresResponse: false },
    })
    await both
    expect(types).toEqual(['notification', 'notification'])
    expect(response).toMatchObject({ status: 'ok', result: [{ result: undefined }, { result: undefined }] })
  })
})

describe('broadcast', () => {
  it('has one response for each process that passes the filter', async () => {
    const all = routers(['main', 'worker-1', 'worker-2', 'ai-1'])
    for (const id of ['worker-1', 'worker-2', 'ai-1'] as const) {
      all[id].registerHandler('name', (_, { message: { target } }) => {
        if (id === 'worker-2') throw new Error('mute')
        return target
      })
      await all[id].peer.ready()
    }
    const ask = async (filter?: Parameters<IPCRouter['broadcast']>[1]) => {
      const responses = await all.main.broadcast(message('main', 'name', { target: 'ai-1' }), filter)
      return responses.map(({ source, result, error }) => [source, result ?? error?.code]).sort()
    }
    const [one, two, ai] = [
      ['worker-1', 'worker-1'],
      ['worker-2', 'HANDLER_ERROR'],
      ['ai-1', 'ai-1'],
    ]
    expect(await ask()).toEqual([ai, one, two])
    expect(await ask({ type: 'worker' })).toEqual([one, two])
    expect(await ask({ ids: ['ai-1', 'worker-1', 'worker-9'] })).toEqual([ai, one])
    expect(await ask({ type: 'worker', ids: ['ai-1', 'worker-1'] })).toEqual([one])
    expect(await ask(({ id, type }) => type === 'worker' && id.endsWith('2'))).toEqual([two])
    expect(await ask({ type: 'nobody' })).toEqual([])
  })

  it('one way, and of what nobody may be sent', async () => {
    const manifest = { main: { call: ['log'] }, worker: {} }
    const all = routers(['main', 'worker-1'], { manifest })
    const { main, 'worker-1': worker } = all
    const heard = new Promise((resolve) => worker.registerHandler('log', (args) => resolve(args)))
    await told(all)
    const sent = await main.broadcast(message('main', 'log', { type: 'notification', args: [{ a: 1 }] }))
    expect(sent).toMatchObject([{ status: 'ok', source: 'worker-1' }])
    expect(await heard).toEqual([{ a: 1 }])
    const refused = [
      await main.broadcast(message('worker-1', 'log')),
      await main.broadcast({ id: randomUUID(), type: 'batch', source: 'main', args: [] }),
      await worker.broadcast(message('worker-1', 'log'), { ids: ['main'] }),
    ]
    expect(refused.map(codes)).toEqual([['PERMISSION_DENIED'], ['INVALID_MESSAGE'], ['PERMISSION_DENIED']])
  })
})
