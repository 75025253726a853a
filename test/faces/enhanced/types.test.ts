/** What S2 shows of its messages: as types, and as the files that its senders leave. */
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import {
  type IPCErrorMessage,
  type IPCMessage,
  IPCMessageType,
  type IPCSystem,
  type IPCTaskMessage,
} from '../../../src/faces/enhanced/index.ts'
import { Stage } from './programs.ts'

/** S2's payloads, as its section on message types has them. */
const SHOWN = {
  task: { taskId: 123, prompt: 'Do something', scheduleType: 'cron' },
  command: { command: 'restart', args: ['--force'] },
  response: { requestId: 'original-message-id', success: true, result: { status: 'completed' } },
  error: { error: 'Task failed', stack: 'Error: ...', recoverable: true },
  heartbeat: { processId: 12345, status: 'active' },
}
const UUID = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/

/** Never called: it compiles. */
function compiled(ipc: IPCSystem): void {
  interface IPCCustomMessage extends IPCMessage {
    type: 'custom'
    payload: { customField: string }
  }
  const custom: IPCCustomMessage[] = []
  const all: IPCMessage[] = custom
  ipc.registerHandler('custom' as IPCMessageType, async (message) => {
    all.push(message)
    expectTypeOf(message.payload).toBeUnknown()
  })
  ipc.registerHandler(IPCMessageType.TASK, async (message) => {
    expectTypeOf(message).toEqualTypeOf<IPCTaskMessage>()
    all.push(message)
  })
  ipc.registerHandler(IPCMessageType.ERROR, ({ payload }) => {
    expectTypeOf(payload).toEqualTypeOf<IPCErrorMessage['payload']>()
  })
  for (const [type, payload] of Object.entries(SHOWN)) void ipc.send('main', type, payload)
  void ipc.send('main', IPCMessageType.TASK, SHOWN.task)
  void ipc.send('main', IPCMessageType.COMMAND, SHOWN.command)
  void ipc.send('main', IPCMessageType.RESPONSE, SHOWN.response)
  void ipc.send('main', IPCMessageType.ERROR, SHOWN.error)
  void ipc.send('main', IPCMessageType.HEARTBEAT, SHOWN.heartbeat)
  void ipc.send('main', 'custom', { customField: 'any' })
  // @ts-expect-error a task has a prompt
  void ipc.send('main', IPCMessageType.TASK, { taskId: 1 })
}

describe('IPCMessageType', () => {
  it('has S2’s values', () => {
    expect(IPCMessageType).toEqual({
      ...{ TASK: 'task', COMMAND: 'command', RESPONSE: 'response' },
      ...{ ERROR: 'error', HEARTBEAT: 'heartbeat' },
    })
  })
})

describe('the types', () => {
  it('type messages and payloads by type, and admit others', () => {
    expect(compiled).toBeTypeOf('function')
  })
})

describe('messages', () => {
  let stage: Stage
  beforeEach(() => {
    stage = new Stage()
  })
  afterEach(() => stage.end())

  it('lie there as S2 shows them, field by field', async () => {
    const sender = stage.start(`import { getIPCSystem } from 'viaduct/mailbox'
      const ipc = getIPCSystem()
      console.log(ipc.root)
      for (const [type, payload] of Object.entries(${JSON.stringify(SHOWN)}))
        console.log(type, await ipc.send('main', type, payload, type === 'task'))`)
    expect(await sender.ended, sender.err.join('\n')).toBe(0)
    expect(sender.out[0]).toBe('data/ipc')
    expect(stage.files('main', 'messages')).toHaveLength(5)
    for (const line of sender.out.slice(1)) {
      const [type = '', id = ''] = line.split(' ')
      expect(id).toMatch(UUID)
      const lies = stage.json('main', 'messages', `${id}.json`)
      expect(lies).toMatchObject({
        ...{
          id,
          type,
          groupFolder: 'main',
          payload: Object.entries(SHOWN).find(([one]) => one === type)?.[1],
        },
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        ...(type === 'task' ? { requiresAck: true } : {}),
      })
    }
  })

  it('of S2’s types without S2’s payload: refused by send, and dead at once where a handler waits for them', async () => {
    const receiver = stage.start(`import { startEnhancedIPC } from 'viaduct/mailbox'
      const ipc = startEnhancedIPC(async (_, { type }) => console.log('callback', type))
      ipc.registerHandler('task', ({ payload }) => console.log('task', payload.prompt.length))
      await ipc.send('main', 'task', { taskId: 1 }).catch(({ code, reason, path }) => console.log(code, reason, path))
      await ipc.ready
      const { writeFileSync, renameSync, mkdirSync } = await import('node:fs')
      mkdirSync('data/ipc/main/messages', { recursive: true })
      writeFileSync('data/ipc/a', JSON.stringify({ type: 'task', payload: { taskId: 1, prompt: 5 } }))
      renameSync('data/ipc/a', 'data/ipc/main/messages/a.json')
      writeFileSync('data/ipc/b', JSON.stringify({ type: 'command', payload: 5 }))
      renameSync('data/ipc/b', 'data/ipc/main/messages/b.json')
      const look = setInterval(async () => {
        const { readdirSync } = await import('node:fs')
        const names = readdirSync('data/ipc/main/errors')
        if (names.length === 0) return
        clearInterval(look)
        console.log('dead', ...names)
      }, 50)`)
    await receiver.said('INVALID_ARGUMENT INVALID_MESSAGE payload.prompt')
    const [, name = ''] = (await receiver.said(/^dead /)).split(' ')
    expect(name).toMatch(/^\d+-a\.json$/)
    expect(stage.json('main', 'errors', name)).toMatchObject({
      type: 'task',
      error: { message: 'IPCMessage of type task: payload.prompt: a text', attempts: 1 },
    })
    await receiver.said('callback command')
    expect(receiver.out).not.toContain('callback task')
  })
})
