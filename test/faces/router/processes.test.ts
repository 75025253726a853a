/** The router across real processes: who is who, where the socket is, who may do what, and what dies. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, lstatSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type {
  CompleteIPCMessage,
  IPCMessage,
  IPCResponse,
  IPCRouter,
} from '../../../src/faces/router/index.ts'
import { openRuntimeFolder } from '../../../src/host/runtimeFolder.ts'
import type { Hub } from '../../../src/index.ts'
import { fieldOf } from '../../../src/wire/fieldOf.ts'

const APP = 's0'
const base = mkdtempSync(join(tmpdir(), 's0-'))
const program = fileURLToPath(new URL('fixtures/process.mjs', import.meta.url))
const dist = new URL('../../../dist/node/router.js', import.meta.url).href

let main: IPCRouter<Hub>
let alone: ChildProcess | undefined
const arrived: CompleteIPCMessage[] = []

const children = { 'renderer-1': 'renderer', 'plugin-a': 'plugin', 'ai-1': 'ai' }
const manifest = {
  main: { call: ['proc.*', 'main.*'] },
  renderer: { call: ['main.*', { method: 'proc.message', to: 'ai-1' }] },
  plugin: {},
  ai: { call: ['main.*'] },
  outsider: { zone: 'semi', join: true, call: ['main.*'] },
  'outsider-thread': { zone: 'semi', join: true, call: ['main.*'] },
} as const

/** What a process makes of it. */
async function ask(id: string, method: string, ...args: unknown[]): Promise<unknown> {
  const message = {
    id: randomUUID(),
    type: 'request',
    source: 'main',
    method: `proc.${method}`,
    args,
  } as const
  const response = await main.sendTo(id, message)
  if (response.status !== 'ok') throw new Error(`${id} ${method}: ${response.error?.message}`)
  return response.result
}

/** The response that a process has to a message of its own. */
async function sendFrom(id: string, message: object): Promise<IPCResponse> {
  return (await ask(id, 'send', message)) as IPCResponse
}

async function pidOf(id: string): Promise<number | undefined> {
  return (await main.hub.who()).find((row) => row.id === id)?.pid
}

beforeAll(async () => {
  const { IPCRouter: Built }: { IPCRouter: typeof IPCRouter } = await import(dist)
  main = await Built.listen({ app: APP, base, manifest, debug: true, log: () => {} })
  main.registerNamespace('main', {
    message: (_, { message }) => {
      arrived.push(message)
      return message
    },
    echo: (args) => args,
    fail: () => {
      throw new Error('on purpose')
    },
  })
  for (const [id, type] of Object.entries(children))
    await main.hub.supervise(id, { type, run: [process.execPath, program] })
  alone = spawn(process.execPath, [program, APP, 'outsider', base], { stdio: 'inherit' })
  for (const id of Object.keys(children)) await main.hub.whenReady(id)
  for await (const _ of main.hub.watch()) {
    if ((await main.hub.who()).some((row) => row.id === 'outsider' && row.ready)) break
  }
})

afterAll(async () => {
  alone?.kill()
  await main?.close()
  rmSync(base, { recursive: true, force: true })
})

describe('processes', () => {
  it('meet at ipc-router.sock in a private folder', () => {
    const { path } = openRuntimeFolder(APP, { base, create: false })
    expect(lstatSync(join(path, 'ipc-router.sock')).isSocket()).toBe(true)
    expect(existsSync(join(path, 'hub.sock'))).toBe(false)
    expect(lstatSync(path).mode & 0o777).toBe(0o700)
  })

  it('send messages that say the truth in every field', async () => {
    arrived.splice(0)
    const id = randomUUID()
    const lies = { id, method: 'main.message', sequence: 41, processId: 1, threadId: 77, target: 'main' }
    for (const sender of ['renderer-1', 'outsider']) {
      const before = Date.now()
      expect(await sendFrom(sender, lies)).toMatchObject({ requestId: id, status: 'ok' })
      const seen = arrived.at(-1)
      expect(seen).toMatchObject({
        id,
        type: 'request',
        source: sender,
        target: 'main',
        sequence: 41,
        threadId: 0,
      })
      expect(seen?.processId).toBe(await pidOf(sender))
      expect(seen?.timestamp).toBeGreaterThanOrEqual(before)
      expect(seen?.timestamp).toBeLessThanOrEqual(Date.now())
    }
    expect(await pidOf('outsider')).toBe(alone?.pid)
    const numbered = []
    for (let round = 0; round < 3; round++) {
      await sendFrom('ai-1', { method: 'main.message' })
      numbered.push(arrived.at(-1)?.sequence)
    }
    expect(numbered).toEqual([1, 2, 3])
  })

  it('stamp the pid of a child, whatever it writes past its router', async () => {
    const forged = { sequence: 1, timestamp: 1, processId: 1, threadId: 0, method: 'main.message' }
    const seen = await ask('renderer-1', 'raw', 'main.message', forged)
    expect(fieldOf(seen, 'processId')).toBe(await pidOf('renderer-1'))
    expect(fieldOf(seen, 'processId')).not.toBe(1)
  })

  it('have threads, which the message names', async () => {
    const options = { app: APP, id: 'outsider-thread', base }
    const answer = await ask('outsider', 'thread', options)
    const message = fieldOf(fieldOf(answer, 'response'), 'result')
    expect(fieldOf(answer, 'threadId')).toBeGreaterThan(0)
    expect(fieldOf(message, 'threadId')).toBe(fieldOf(answer, 'threadId'))
    expect(fieldOf(message, 'processId')).toBe(alone?.pid)
  })

  it('cannot be somebody else', async () => {
    arrived.splice(0)
    const forged = { sequence: 1, timestamp: 1, processId: 1, threadId: 0, method: 'main.message' }
    expect(await sendFrom('renderer-1', { method: 'main.message', source: 'main' })).toMatchObject({
      status: 'error',
      error: { code: 'PERMISSION_DENIED' },
    })
    expect(await ask('renderer-1', 'raw', 'main.message', { ...forged, source: 'ai-1' })).toEqual({
      code: 'PERMISSION_DENIED',
      reason: 'PERMISSION_DENIED',
      path: 'source',
    })
    expect(await ask('renderer-1', 'raw', 'main.message', { ...forged, method: 'main.echo' })).toMatchObject({
      reason: 'INVALID_MESSAGE',
      path: 'method',
    })
    expect(arrived).toEqual([])
  })

  it('reach whom the manifest names, and nobody else', async () => {
    const codeOf = async (from: string, message: object) =>
      (await sendFrom(from, message)).error?.code ?? 'ok'
    expect(await codeOf('renderer-1', { method: 'main.echo' })).toBe('ok')
    expect(await codeOf('renderer-1', { method: 'proc.message', target: 'ai-1' })).toBe('ok')
    expect(await codeOf('renderer-1', { method: 'proc.message', target: 'plugin-a' })).toBe(
      'PERMISSION_DENIED',
    )
    expect(await codeOf('renderer-1', { method: 'proc.die', target: 'ai-1' })).toBe('PERMISSION_DENIED')
    expect(await codeOf('plugin-a', { method: 'main.echo' })).toBe('PERMISSION_DENIED')
    expect(
      await codeOf('plugin-a', {
        method: 'main.echo',
        type: 'batch',
        args: [{ method: 'main.echo', args: [] }],
      }),
    ).toBe('PERMISSION_DENIED')
    // Without a target it is the one that the rule names, of four that registered the method.
    const answer = await sendFrom('renderer-1', { method: 'proc.message' })
    expect(fieldOf(answer.result, 'target')).toBe('ai-1')
    expect(await ask('renderer-1', 'metrics')).toBe('PERMISSION_DENIED')
    expect(await ask('ai-1', 'metrics')).toBe('snapshot')
  })

  it('are told together, as a filter says', async () => {
    const message = (): IPCMessage => ({
      ...{ id: randomUUID(), type: 'request', source: 'main', method: 'proc.message', args: [] },
    })
    const responses = await main.broadcast(message(), { ids: ['ai-1', 'plugin-a'] })
    expect(responses.map(({ source, result }) => [source, fieldOf(result, 'target')]).sort()).toEqual([
      ['ai-1', 'ai-1'],
      ['plugin-a', 'plugin-a'],
    ])
    const pid = await pidOf('outsider')
    const [one, ...more] = await main.broadcast(message(), (peer) => peer.pid === pid)
    expect([one?.source, more.length]).toEqual(['outsider', 0])
  })

  it('see stacks in debug mode alone', async () => {
    const message = {
      method: 'main.fail',
      source: 'main',
      id: randomUUID(),
      type: 'request',
      args: [],
    } as const
    const { error } = await main.send(message)
    // Of the handler, which ran in debug mode too.
    expect(error?.stack).toMatch(/on purpose\n {4}at .*processes\.test[\s\S]*answered main\.fail/)
    const told = await sendFrom('renderer-1', { method: 'main.fail' })
    expect(told).toMatchObject({ error: { code: 'HANDLER_ERROR', message: 'on purpose' } })
    expect(told.error).not.toHaveProperty('stack')
  })

  it('are counted by method and by pair', async () => {
    const { total, methods, pairs } = await main.getMetrics()
    expect(total.messagesPerSecond).toBeGreaterThan(0)
    expect(methods.find(({ method }) => method === 'main.echo')).toMatchObject({
      messagesPerSecond: expect.any(Number),
      p95Latency: expect.any(Number),
      retryRate: expect.any(Number),
    })
    expect(pairs.some(({ from, to }) => from === 'main' && to === 'ai-1')).toBe(true)
  })

  it('die: what is open there has TARGET_UNAVAILABLE at once, and the next one waits for its return', async () => {
    const open = Array.from({ length: 10 }, () =>
      main.send({
        ...{
          id: randomUUID(),
          type: 'request',
          source: 'main',
          target: 'ai-1',
          method: 'proc.hang',
          args: [],
        },
        options: { timeout: 60_000, retryCount: 3 },
      }),
    )
    // All of them run when this is answered.
    await ask('ai-1', 'message')
    const before = await pidOf('ai-1')
    const killedAt = performance.now()
    await main.hub.kill('ai-1')
    for (const response of await Promise.all(open))
      expect(response).toMatchObject({
        status: 'error',
        error: { code: 'TARGET_UNAVAILABLE', retryable: false },
      })
    expect(performance.now() - killedAt).toBeLessThan(2_000)
    const again = await main.send({
      ...{
        id: randomUUID(),
        type: 'request',
        source: 'main',
        target: 'ai-1',
        method: 'proc.message',
        args: [],
      },
      options: { timeout: 20_000, retryCount: 5 },
    })
    expect(again).toMatchObject({ status: 'ok', result: { target: 'ai-1' } })
    expect(await pidOf('ai-1')).not.toBe(before)
  })

  it('leave nothing behind', async () => {
    const { path } = openRuntimeFolder(APP, { base, create: false })
    const gone = new Promise((resolve) => alone?.once('exit', resolve))
    alone?.kill()
    await gone
    await main.close()
    expect(existsSync(path)).toBe(false)
  })
})
