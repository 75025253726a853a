/** Programs beside ours: a shell, an old one that polls, a sender that was never started. */
import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { pages } from '../../docs/pages.ts'
import { type Program, Stage } from './programs.ts'

let stage: Stage
beforeEach(() => {
  stage = new Stage()
})
afterEach(() => stage.end())

const RECEIVER = `import { startEnhancedIPC } from 'viaduct/mailbox'
const system = startEnhancedIPC(async (group, data) => console.log(JSON.stringify(data)))
await system.ready
console.log('ready')`

const TASK = { taskId: 1, prompt: 'p', scheduleType: 'once' }

function received(program: Program): unknown[] {
  return program.out.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line))
}

describe('a shell', () => {
  it('drops a file by the document’s own lines, into a group that is not there yet', async () => {
    const page = pages.find(({ path }) => path === 'docs/seeds/s2-mailbox.md')
    const lines = page?.fences.find(({ language, code }) => language === 'sh' && code.includes('mv '))
    const receiver = stage.start(RECEIVER)
    await receiver.said('ready')
    const shell = stage.run('/bin/sh', ['-euc', lines?.code ?? 'exit 9'])
    expect(await shell.ended, shell.err.join('\n')).toBe(0)
    await receiver.said(/"type":"command"/)
    expect(received(receiver)).toEqual([
      expect.objectContaining({
        type: 'command',
        groupFolder: 'main',
        payload: { command: 'restart', args: [] },
        id: expect.stringMatching(/^[\da-f-]{36}$/),
        timestamp: expect.stringMatching(/Z$/),
      }),
    ])
  })

  it('is told by a file in acks/ when its message is done', async () => {
    const receiver = stage.start(RECEIVER)
    await receiver.said('ready')
    const drop = `g=data/ipc/main; mkdir -p $g/messages
      printf '{"type":"custom","payload":1,"requiresAck":true}' > $g/.one && mv $g/.one $g/messages/one.json
      until [ -e $g/acks/one.ack ]; do sleep 0.05; done; echo acknowledged; ls $g/messages`
    const shell = stage.run('/bin/sh', ['-euc', drop])
    expect(await shell.ended, shell.err.join('\n')).toBe(0)
    expect(shell.out[0]).toBe('acknowledged')
    expect(received(receiver)).toEqual([
      expect.objectContaining({ id: 'one', payload: 1, requiresAck: true }),
    ])
  })
})

describe('an old program that polls', () => {
  it('receives from our sender: reads, acknowledges, unlinks', async () => {
    const old =
      stage.start(`import { existsSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
      const group = 'data/ipc/main'
      setInterval(() => {
        if (!existsSync(group + '/messages')) return
        for (const name of readdirSync(group + '/messages').filter((one) => one.endsWith('.json'))) {
          const path = group + '/messages/' + name
          const message = JSON.parse(readFileSync(path, 'utf8'))
          console.log('old', message.type, message.payload.taskId)
          if (message.requiresAck) writeFileSync(group + '/acks/' + message.id + '.ack', '')
          unlinkSync(path)
        }
      }, 20)`)
    const sender = stage.start(`import { getIPCSystem } from 'viaduct/mailbox'
      const ipc = getIPCSystem()
      ipc.on('ack', (id) => console.log('ack', id))
      const id = await ipc.send('main', 'task', ${JSON.stringify(TASK)}, true)
      await ipc.waitForAck(id)
      console.log('done', id)`)
    await old.said('old task 1')
    expect(await sender.ended, sender.err.join('\n')).toBe(0)
    const [ack = '', done = ''] = sender.out
    expect(ack).toMatch(/^ack [\da-f-]{36}$/)
    expect(done).toBe(ack.replace('ack', 'done'))
    expect(stage.files('main', 'messages')).toEqual([])
  })
})

describe('getIPCSystem', () => {
  it('before a start is a sender to data/ipc, and ends with its work', async () => {
    const sender = stage.start(`import { getIPCSystem } from 'viaduct/mailbox'
      const ipc = getIPCSystem()
      console.log(ipc === getIPCSystem(), ipc.root, await ipc.ready)
      console.log(await ipc.send('group-1', 'mine', { n: 1 }))
      for (const bad of ['../x', 'A', '', 'a/b']) await ipc.send(bad, 'mine', 1).catch(({ code }) => console.log(code))`)
    expect(await sender.ended, sender.err.join('\n')).toBe(0)
    const [first, id, ...refused] = sender.out
    expect(first).toBe('true data/ipc undefined')
    expect(stage.files('group-1', 'messages')).toEqual([`${id}.json`])
    expect(refused).toEqual(Array(4).fill('INVALID_ARGUMENT'))
    expect(stage.files()).toEqual(['group-1'])
  })

  it('gives what was started, with the handlers from before; a second start is refused, after stop() it is not', async () => {
    const program = stage.start(`import { getIPCSystem, startEnhancedIPC } from 'viaduct/mailbox'
      const before = getIPCSystem()
      before.registerHandler('mine', async ({ payload }) => console.log('handler', payload))
      const started = startEnhancedIPC(async (group, { payload }) => console.log('callback', payload), { root: 'other' })
      console.log(started === before, getIPCSystem() === before, before.root)
      try { startEnhancedIPC(async () => {}) } catch ({ code, reason }) { console.log(code, reason) }
      const id = await before.send('main', 'mine', 7, true)
      await before.waitForAck(id)
      await before.stop()
      await before.send('main', 'mine', 7).catch(({ reason }) => console.log(reason))
      const next = getIPCSystem()
      console.log(next === before, next.root)
      await next.send('main', 'mine', 8)
      try { startEnhancedIPC(async () => {}, { root: 'third' }) } catch ({ reason }) { console.log(reason) }
      startEnhancedIPC(async (group, { payload }) => { console.log('again', payload); setImmediate(() => next.stop()) })`)
    expect(await program.ended, program.err.join('\n')).toBe(0)
    expect(program.out).toEqual([
      ...['true true other', 'FAILED_PRECONDITION ALREADY_STARTED', 'handler 7', 'callback 7', 'CLOSED'],
      ...['false data/ipc', 'ALREADY_STARTED', 'again 8'],
    ])
    expect(program.err).toEqual([])
  })

  it('options that will not do are refused before anything begins', async () => {
    const program = stage.start(`import { startEnhancedIPC } from 'viaduct/mailbox'
      for (const options of [{ ackTimeoutMs: -1 }, { nonsense: 1 }, { durability: 'none' }, { concurrency: 0 }, { heartbeat: {} }])
        try { startEnhancedIPC(async () => {}, options) } catch ({ reason, path }) { console.log(reason, path) }`)
    expect(await program.ended, program.err.join('\n')).toBe(0)
    expect(program.out).toEqual([
      ...['BAD_OPTION mailbox.ackTimeoutMs', 'BAD_OPTION mailbox.nonsense', 'BAD_OPTION mailbox.durability'],
      ...['BAD_OPTION receive.concurrency', 'BAD_OPTION enhanced.heartbeat'],
    ])
  })
})

describe('groups', () => {
  it('appear at run time; what is none is told once and left alone', async () => {
    const receiver = stage.start(
      `import { mkdirSync, writeFileSync } from 'node:fs'
      mkdirSync('data/ipc/Not A Group\\u001b[31m', { recursive: true })
      writeFileSync('data/ipc/file', '')
      ${RECEIVER}
      const send = async (group) => { await system.waitForAck(await system.send(group, 'mine', group, true)); console.log('done', group) }
      await send('one')
      await send('two')`,
      { env: { LOG_LEVEL: 'info' } },
    )
    await receiver.said('done two')
    expect(received(receiver)).toMatchObject([{ groupFolder: 'one' }, { groupFolder: 'two' }])
    const ignored = receiver.log.filter(({ text }) => text === 'IPC folder ignored')
    expect(ignored.map(({ level, fields }) => [level, fields.name]).sort()).toEqual([
      ['warn', 'Not A Group\u001b[31m'],
      ['warn', 'file'],
    ])
    expect(receiver.err.join('')).not.toContain('\u001b')
    for (const group of ['one', 'two'])
      await receiver.logged('IPC watcher setup for group', ({ fields }) => fields.group === group)
    expect(stage.files('Not A Group\u001b[31m')).toEqual([])
  })
})

describe('heartbeats', () => {
  it('say who is alive, and stop saying so when it is killed', async () => {
    const reader = stage.start(`import { startEnhancedIPC } from 'viaduct/mailbox'
      const system = startEnhancedIPC(async (group, { type }) => console.log(type))
      process.stdin.on('data', () => console.log(JSON.stringify(system.alive())))`)
    const alive = stage.start(`import { startEnhancedIPC } from 'viaduct/mailbox'
      startEnhancedIPC(async () => {}, { heartbeat: { groups: ['monitor'], everyMs: 50, status: () => 'busy' } })`)
    await reader.until(({ out }) =>
      out.filter((line) => line === 'heartbeat').length >= 3 ? true : undefined,
    )
    reader.tell('who')
    const [live] = JSON.parse(await reader.said(/^\[/))
    expect(live).toEqual({
      ...{ groupFolder: 'monitor', processId: alive.child.pid, status: 'busy' },
      seenMs: expect.closeTo(Date.now(), -4),
    })
    await alive.kill()
    reader.out.splice(0)
    reader.tell('who')
    expect(JSON.parse(await reader.said(/^\[/))).toEqual([])
  })
})

describe('durability', () => {
  it.each(['power-loss', 'process-crash'])(
    '%s: what was sent survives kill -9 of its sender',
    async (durability) => {
      const killed = stage.start(`import { Mailbox } from 'viaduct/mailbox'
      const mailbox = await Mailbox.open({ root: 'data/ipc', group: 'main', store: 'folder', durability: '${durability}' })
      console.log(await mailbox.send('mine', { n: 1 }))
      process.kill(process.pid, 'SIGKILL')`)
      await killed.ended
      const receiver = stage.start(RECEIVER)
      await receiver.said(/"type":"mine"/)
      expect(received(receiver)).toMatchObject([{ payload: { n: 1 } }])
    },
  )
})

describe('the log', () => {
  const CODE = `import { startEnhancedIPC } from 'viaduct/mailbox'
    const system = startEnhancedIPC(async (group, data) => {}, { ackTimeoutMs: 100, retryDelayMs: 100, maxRetries: 1 })
    system.registerHandler('m\\u202ey\\n', async () => {})
    await system.ready
    await system.waitForAck(await system.send('main', 'm\\u202ey\\n', 1, true))
    await system.stop()`
  const TEXTS = [
    ...['IPC handler registered', 'Enhanced IPC system started', 'IPC watcher setup for group'],
    ...['Processing IPC message', 'IPC message sent', 'ACK sent', 'ACK received'],
  ]

  it('LOG_LEVEL=debug has S2’s texts, a line each, nothing of others unescaped', async () => {
    const program = stage.start(CODE, { env: { LOG_LEVEL: 'debug' } })
    expect(await program.ended, program.err.join('\n')).toBe(0)
    expect(program.log).toHaveLength(program.err.length)
    expect(new Set(program.log.map(({ text }) => text))).toEqual(new Set(TEXTS))
    expect(program.err.join('')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    for (const text of ['Processing IPC message', 'IPC message sent', 'IPC handler registered'])
      expect((await program.logged(text)).fields).toMatchObject({ type: 'm\u202ey\n' })
    for (const { fields } of program.log) expect(fields).not.toHaveProperty('payload')
  })

  it.each([
    ['info', ['info']],
    ['warn', []],
    ['', []],
    ['nonsense', []],
  ])('LOG_LEVEL=%s has its own level and those above', async (level, levels) => {
    const program = stage.start(CODE, { env: { LOG_LEVEL: level } })
    expect(await program.ended, program.err.join('\n')).toBe(0)
    expect([...new Set(program.log.map((line) => line.level))]).toEqual(levels)
  })

  it('ACK timeout by default, Retrying IPC message from info on', async () => {
    const program = stage.start(
      `import { Mailbox, stderrLog } from 'viaduct/mailbox'
      const mailbox = await Mailbox.open({ root: 'data/ipc', group: 'main', store: 'folder', log: stderrLog,
        ackTimeoutMs: 50, retryDelayMs: 50, maxRetries: 2 })
      mailbox.on('error', ({ code, reason }, id) => console.log('error', code, reason, id))
      const id = await mailbox.send('mine', 1, { requiresAck: true })
      await mailbox.waitForAck(id).catch(({ reason }) => console.log('wait', reason, id))
      await mailbox.close()`,
      { env: { LOG_LEVEL: 'info' } },
    )
    expect(await program.ended, program.err.join('\n')).toBe(0)
    const id = program.out[0]?.split(' ').pop()
    expect(new Set(program.out)).toEqual(
      new Set([`error DEADLINE_EXCEEDED ACK_TIMEOUT ${id}`, `wait ACK_TIMEOUT ${id}`]),
    )
    const texts = program.log.map(({ text }) => text)
    expect(texts.filter((text) => text === 'Retrying IPC message')).toHaveLength(2)
    expect(texts.filter((text) => text === 'ACK timeout')).toHaveLength(3)
    expect(program.log.map(({ fields }) => fields.id)).toEqual(Array(5).fill(id))
    expect(stage.files('main', 'messages'), 'it stays').toEqual([`${id}.json`])
    expect(readFileSync(stage.path('main', 'messages', `${id}.json`), 'utf8')).toContain(`"${id}"`)
  })
})
