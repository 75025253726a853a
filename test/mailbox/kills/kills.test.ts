/** A hundred kills of what `npm run test:storm` can do by the ten thousand. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { judge, mailboxStorm } from './killStorm.ts'
import { bundleProgram, type Line } from './processes.ts'

const home = mkdtempSync(join(tmpdir(), 'mailbox-storm-'))
let program = ''
beforeAll(async () => {
  program = await bundleProgram(home)
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

describe('the judge of a storm', () => {
  const lines = (...texts: string[]): Line[] =>
    texts.map((text, at) => {
      const [by = '', what = ''] = text.split(' ')
      return { atNs: BigInt(at), by, what, id: 'm', attempt: 1 }
    })

  it.each<[string, Line[], RegExp | undefined]>([
    ['all is well', lines('1 send', '1 sent', '2 start', '2 effect', '2 end', '1 acked'), undefined],
    [
      'run again after a kill',
      lines('1 send', '2 start', '2 effect', '9 x', '3 start', '3 repeat', '3 end'),
      undefined,
    ],
    ['lost', lines('1 send', '1 sent', '2 start'), /lost/],
    ['two at a time', lines('1 send', '4 start', '3 start', '3 end', '4 end'), /while it ran/],
    ['after its end', lines('1 send', '2 start', '2 end', '1 acked', '3 start', '3 end'), /after it was ack/],
    ['early', lines('1 send', '1 acked', '2 start', '2 end'), /before it was handled/],
    ['twice', lines('1 send', '2 start', '2 effect', '2 effect', '2 end'), /twice/],
  ])('sees what is to be seen: %s', (_, ledger, fault) => {
    const faults = judge(ledger, new Map([['2', 3n]])).join()
    if (fault) expect(faults).toMatch(fault)
    else expect(faults).toBe('')
  })
})

describe.each(['log', 'folder'] as const)('a hundred kills over a mailbox in the %s store', (store) => {
  it('lose nothing, start nothing that is done, and run no id twice at a time', async () => {
    const seed = Number(process.env.VIADUCT_SEED ?? Math.floor(Math.random() * 2 ** 32))
    const storm = { program, store, seed, kills: 50, messages: 3_000, seconds: 90 }
    const verdict = await mailboxStorm(storm)
    process.stdout.write(`${store}: ${JSON.stringify({ seed, ...verdict })}\n`)
    expect(verdict.faults.slice(0, 20), `seed ${seed}, ${verdict.folder}`).toEqual([])
    expect(verdict.kills.receivers).toBeGreaterThan(10)
    expect(verdict.kills.senders).toBeGreaterThan(3)
    expect(verdict.sent).toBeGreaterThan(2_500)
    expect(verdict.acknowledged).toBeGreaterThan(50)
  })
})
