/** Names become paths: what is no plain name is refused before anything is made of it. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Mailbox } from '../../src/mailbox/index.ts'

let home = ''
let root = ''
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'vn-'))
  root = join(home, 'mail')
})
afterEach(() => rmSync(home, { recursive: true }))

const NO_NAMES = ['../x', '/x', 'a/b', 'a\\b', 'a b', 'a\0', 'a\n', 'ä', 'x'.repeat(129)]

describe('names of a mailbox', () => {
  it.each([...NO_NAMES, '.', '..', 'Main', 'a.b', 'x'.repeat(65)])('refuse the group %j', async (group) => {
    await expect(Mailbox.open({ root, group })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'BAD_OPTION',
      path: 'mailbox.group',
    })
    expect(readdirSync(home)).toEqual([])
  })

  it.each(['log', 'folder'] as const)('refuse ids that are none, in the %s store', async (store) => {
    const mailbox = await Mailbox.open({ root, group: 'main', store, durability: 'process-crash' })
    // A log has no file that an id names.
    const dotted = store === 'folder' ? ['.', '..', '.hidden'] : []
    for (const id of [...NO_NAMES, '', ...dotted]) {
      await expect(mailbox.send('task', 1, { id }), JSON.stringify(id)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      })
    }
    expect((await mailbox.stats()).stored.messages).toBe(0)
    await mailbox.send('task', 1, { id: 'a.B-c_9' })
    expect((await mailbox.stats()).stored.messages).toBe(1)
    await mailbox.close()
    expect([readdirSync(home), readdirSync(root)]).toEqual([['mail'], ['main']])
  })
})
