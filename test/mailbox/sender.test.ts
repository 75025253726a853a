import { describe, expect, it } from 'vitest'
import type { Outgoing } from '../../src/mailbox/message.ts'
import { type MailboxOptions, readMailboxOptions } from '../../src/mailbox/options.ts'
import { Sender } from '../../src/mailbox/sender.ts'
import type { Outbox, Usage } from '../../src/mailbox/store.ts'
import { VirtualClock } from '../../src/testing/virtualClock.ts'

class MemoryOutbox implements Outbox {
  readonly sender = 'memory'
  readonly stored: Outgoing[] = []
  readonly announced: [string, number][] = []
  used: Usage = { messages: 0, bytes: 0 }
  failing: Error | undefined
  #tell: (id: string) => void = () => {}
  readonly #clock: VirtualClock

  constructor(clock: VirtualClock) {
    this.#clock = clock
  }

  store(message: Outgoing): Promise<void> {
    if (this.failing) return Promise.reject(this.failing)
    this.stored.push(message)
    return Promise.resolve()
  }

  announce(id: string): Promise<void> {
    this.announced.push([id, this.#clock.now()])
    return Promise.resolve()
  }

  usage(): Promise<Usage> {
    return Promise.resolve(this.used)
  }

  onAcknowledged(tell: (id: string) => void): () => void {
    this.#tell = tell
    return () => {}
  }

  acknowledge(id: string): void {
    this.#tell(id)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function rig(options: Partial<MailboxOptions> = {}) {
  const clock = new VirtualClock()
  const outbox = new MemoryOutbox(clock)
  const log: string[] = []
  const settings = readMailboxOptions({
    root: '/ipc',
    group: 'main',
    clock,
    nowMs: () => 1_000_000 + clock.now(),
    log: (_, text) => log.push(text),
    ...options,
  })
  const sender = new Sender(outbox, settings)
  const events: unknown[] = []
  sender.on('ack', (id) => events.push(['ack', id]))
  sender.on('error', (error, id) => events.push([error.reason, id, clock.now()]))
  const send = (more: object = {}): Promise<string> => sender.send('task', { n: 1 }, 'json', more)
  return { clock, outbox, sender, events, send, log }
}

describe('a sender', () => {
  it('makes the message, with times from now', async () => {
    const { outbox, send } = rig()
    const id = await send({ delayMs: 5, expiresInMs: 7, priority: 'high' })
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const [{ body, ...message } = { body: new Uint8Array() }] = outbox.stored
    expect(new TextDecoder().decode(body)).toBe('{"n":1}')
    expect(message).toEqual({
      id,
      type: 'task',
      sentAtMs: 1_000_000,
      requiresAck: false,
      priority: 'high',
      notBeforeMs: 1_000_005,
      expiresAtMs: 1_000_007,
      redriven: 0,
      format: 'json',
    })
  })

  it('announces three times, 5 s apart, after 30 s, and then tells that no acknowledgement came', async () => {
    const { clock, outbox, sender, events, send, log } = rig()
    await send({ requiresAck: true, id: 'a' })
    const waited = sender.waitForAck('a', {}).catch((error: unknown) => error)
    await clock.advance(29_999)
    expect(outbox.announced).toEqual([])
    await clock.advance(15_000)
    expect(outbox.announced).toEqual([
      ['a', 30_000],
      ['a', 35_000],
      ['a', 40_000],
    ])
    expect(events).toEqual([])
    await clock.advance(1)
    expect(events).toEqual([['ACK_TIMEOUT', 'a', 45_000]])
    expect(await waited).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'ACK_TIMEOUT' })
    await expect(sender.waitForAck('a', {})).rejects.toMatchObject({ reason: 'ACK_TIMEOUT' })
    expect(log.filter((text) => text === 'Retrying IPC message')).toHaveLength(3)
    expect(clock.pending).toBe(0)
    // Late is better than never.
    outbox.acknowledge('a')
    expect(events.at(-1)).toEqual(['ack', 'a'])
    await expect(sender.waitForAck('a', {})).resolves.toBeUndefined()
  })

  it('has one timer for all that it waits for', async () => {
    const { clock, outbox, sender, send } = rig()
    for (let n = 0; n < 100; n++) {
      await send({ requiresAck: true, id: `m${n}` })
      await clock.advance(100)
    }
    expect([clock.pending, sender.pendingAcks]).toEqual([1, 100])
    for (let n = 0; n < 100; n += 2) outbox.acknowledge(`m${n}`)
    await clock.advance(30_000)
    expect(outbox.announced.filter(([id]) => Number(id.slice(1)) % 2 === 0)).toEqual([])
    expect(outbox.announced[0]).toEqual(['m1', 30_100])
    expect(clock.pending).toBe(1)
  })

  it('settles whoever waits: acknowledged, too late, called off, closed, unknown', async () => {
    const { clock, outbox, sender, send } = rig()
    for (const id of ['a', 'b', 'c', 'd']) await send({ requiresAck: true, id })
    const stop = new AbortController()
    const outcomes = Promise.allSettled([
      sender.waitForAck('a', {}),
      sender.waitForAck('b', { timeoutMs: 1_000 }),
      sender.waitForAck('c', { signal: stop.signal }),
      sender.waitForAck('d', {}),
      sender.waitForAck('unknown', {}),
    ])
    outbox.acknowledge('a')
    outbox.acknowledge('somebody else’s')
    stop.abort()
    await clock.advance(1_000)
    await sender.close()
    const reasons = (await outcomes).map((one) => (one.status === 'rejected' ? one.reason.reason : 'done'))
    expect(reasons).toEqual(['done', 'ACK_TIMEOUT', 'CANCELLED', 'CLOSED', 'NOT_FOUND'])
    expect(clock.pending).toBe(0)
    await expect(send()).rejects.toMatchObject({ reason: 'CLOSED', fate: 'not-sent' })
  })

  it('knows an acknowledgement that comes before it knows that the message is stored', async () => {
    const { outbox, sender, send, events } = rig()
    const sent = send({ requiresAck: true, id: 'a' })
    outbox.acknowledge('a')
    await sent
    expect(events).toEqual([['ack', 'a']])
    await expect(sender.waitForAck('a', {})).resolves.toBeUndefined()
  })

  it('waits for no more acknowledgements than it may, and for none of what was not stored', async () => {
    const { outbox, sender, send } = rig({ maxPendingAcks: 2 })
    outbox.failing = new Error('no disk')
    await expect(send({ requiresAck: true })).rejects.toThrow('no disk')
    outbox.failing = undefined
    expect(sender.pendingAcks).toBe(0)
    await send({ requiresAck: true })
    await send({ requiresAck: true })
    await expect(send({ requiresAck: true })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'TOO_MANY_ACKS',
    })
    await send()
    expect(outbox.stored).toHaveLength(3)
  })

  it('leaves nobody who waits alone when a second message of his id is not stored', async () => {
    const { outbox, sender, send } = rig()
    await send({ requiresAck: true, id: 'a' })
    const waits = sender.waitForAck('a', {})
    outbox.failing = new Error('no disk')
    await expect(send({ requiresAck: true, id: 'a' })).rejects.toThrow('no disk')
    outbox.acknowledge('a')
    await waits
    // Of one that was never stored nothing will come.
    const failing = send({ requiresAck: true, id: 'b' })
    const hopeless = sender.waitForAck('b', {})
    await expect(failing).rejects.toThrow('no disk')
    await expect(hopeless).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('gives a store whole milliseconds that a date can be of, and ids that can name a file', async () => {
    const { outbox, send } = rig()
    await send({ delayMs: 10.5, expiresInMs: 0.25 })
    await send({ delayMs: 1e17, expiresInMs: 1e300 })
    expect(outbox.stored.map(({ notBeforeMs, expiresAtMs }) => [notBeforeMs, expiresAtMs])).toEqual([
      [1_000_011, 1_000_001],
      [253_402_300_799_999, 253_402_300_799_999],
    ])
    for (const id of ['.a', '..', 'a/b', ''])
      await expect(send({ id })).rejects.toMatchObject({ reason: 'BAD_OPTION' })
  })

  it('refuses beyond the quota, keeps the order while it looks, and takes more when there is room', async () => {
    const { outbox, sender, send } = rig({ quota: { messages: 2 } })
    await sender.lookUp()
    await send({ id: 'a' })
    await send({ id: 'b' })
    outbox.used = { messages: 2, bytes: 0 }
    await expect(send()).rejects.toMatchObject({ reason: 'MAILBOX_FULL', fate: 'not-sent' })
    outbox.used = { messages: 0, bytes: 0 }
    await Promise.all([send({ id: 'c' }), send({ id: 'd' })])
    expect(outbox.stored.map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd'])
  })

  it.each([
    [{ priority: 'urgent' }, 'send.priority'],
    [{ id: 'a/b' }, 'send.id'],
    [{ expiresInMs: 0 }, 'send.expiresInMs'],
    [{ ack: true }, 'send.ack'],
  ])('refuses options that will not do: %o', async (options, path) => {
    await expect(rig().send(options)).rejects.toMatchObject({ reason: 'BAD_OPTION', path })
  })

  it('refuses what is too long, and what JSON cannot hold', async () => {
    const { sender } = rig()
    const long = 'x'.repeat(10 * 1024 * 1024)
    await expect(sender.send('task', long, 'json', {})).rejects.toMatchObject({ reason: 'MESSAGE_TOO_LARGE' })
    await expect(sender.send('t'.repeat(129), 1, 'json', {})).rejects.toMatchObject({ path: 'type' })
    const infinite = { a: [Number.NaN] }
    await expect(sender.send('task', infinite, 'json', {})).rejects.toMatchObject({ path: 'payload.a[0]' })
  })
})
