/** Senders of the log store, killed while they store: what a receiver finds of them afterwards. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { LogInbox } from '../../../src/mailbox/logInbox.ts'
import { random } from '../../storm/random.ts'
import { drained } from '../logRig.ts'
import { bundleProgram, Processes } from './processes.ts'

const home = mkdtempSync(join(tmpdir(), 'sender-kills-'))
let program = ''
let box: Processes | undefined
beforeAll(async () => {
  program = await bundleProgram(home)
})
afterAll(async () => {
  await box?.close()
  rmSync(home, { recursive: true, force: true })
})

it('twenty killed senders have lost nothing that was acknowledged, and left all in their order without a gap', async () => {
  const seed = Number(process.env.VIADUCT_SEED ?? Math.floor(Math.random() * 2 ** 32))
  const chance = random(seed)
  const mailbox = new Processes(program, { store: 'log' })
  box = mailbox
  for (let round = 0; round < 5; round++) {
    const senders = [0, 1, 2, 3].map((one) =>
      mailbox.start(`s${round}${one}`, {
        stream: { count: 1_000_000, atOnce: 1 + chance.below(20), from: 0, ackEach: 10 },
      }),
    )
    await Promise.all(
      senders.map(async (sender) => {
        const delayMs = chance.below(100)
        const hasSent = (): boolean => mailbox.ledgerOf(sender.name).some(({ what }) => what === 'sent')
        await expect.poll(hasSent, { interval: 5 }).toBe(true)
        await sleep(delayMs)
        await sender.kill()
      }),
    )
  }
  const receiver = new LogInbox({ folder: join(mailbox.folder, 'ipc/main'), name: 'r' })
  const found = await drained(receiver, 1_000)
  const bySender = new Map<string, string[]>()
  for (const arrival of found) {
    expect(arrival.fault, `seed ${seed}`).toBeUndefined()
    const ids = bySender.get(arrival.sender) ?? []
    expect(arrival.sequence).toBe(ids.push(arrival.id))
    bySender.set(arrival.sender, ids)
    const [, n = ''] = arrival.id.split('.')
    expect(new TextDecoder().decode((await receiver.body(arrival)).bytes)).toBe(`{"n":${n}}`)
  }
  expect(bySender.size).toBe(20)
  for (const ids of bySender.values()) {
    const [name] = ids[0]?.split('.') ?? []
    // In the order of the calls, each of them.
    expect(ids).toEqual(ids.map((_, n) => `${name}.${n}`))
  }
  const ids = new Set(found.map(({ id }) => id))
  const sent = mailbox.ids('sent')
  expect(sent.length).toBeGreaterThan(100)
  expect(
    sent.filter((id) => !ids.has(id)),
    `seed ${seed}`,
  ).toEqual([])
  await receiver.close()
})
