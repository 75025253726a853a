import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Arrival } from '../../src/mailbox/message.ts'
import { all, FolderMailbox, text, until } from './folderMailbox.ts'

let box: FolderMailbox
beforeEach(() => {
  box = new FolderMailbox()
})
afterEach(() => box.close(), 180_000)

const COUNT = 100_000

/** Drops files in order, as a program that knows nothing of this one. */
const DROPPER = `
const { writeFileSync, renameSync } = require('node:fs')
const [folder, count] = process.argv.slice(1)
const payload = 'x'.repeat(300)
for (let n = 1; n <= Number(count); n++) {
  const file = { id: 'id-' + n, type: 'task', groupFolder: 'main', payload: { n, payload }, timestamp: new Date().toISOString(), sender: 'dropper', sequence: n }
  writeFileSync(folder + '/x.tmp', JSON.stringify(file))
  renameSync(folder + '/x.tmp', folder + '/messages/' + file.id + '.json')
}
`

it('100,000 files that come while the loop is blocked are all found, in order, in bounded memory', async () => {
  const inbox = await box.inbox()
  let hints = 0
  inbox.watch(() => hints++)
  const child = spawn(process.execPath, ['-e', DROPPER, box.folder, String(COUNT)], { stdio: 'inherit' })
  const ended = once(child, 'exit')
  await until(() => existsSync(box.path('messages', 'id-1.json')))
  const blockedUntil = performance.now() + 5000
  while (performance.now() < blockedUntil);
  const found: Arrival[] = []
  while (child.exitCode === null) {
    found.push(...(await inbox.next(1000)))
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 1000))])
  }
  await ended
  found.push(...(await all(inbox)))
  expect(hints).toBeGreaterThan(0)
  expect(found).toHaveLength(COUNT)
  expect(found.every(({ sequence }, index) => sequence === index + 1)).toBe(true)
  // A second receiver begins with all of them waiting.
  globalThis.gc?.()
  const before = process.memoryUsage()
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const began = performance.now()
  const again = await box.inbox()
  const [first] = await again.next(1)
  const seconds = (performance.now() - began) / 1000
  delay.disable()
  const after = process.memoryUsage()
  const grown = (after.heapUsed + after.external - before.heapUsed - before.external) / 1024 / 1024
  const said = `${seconds.toFixed(1)} s to find them, loop held ${(delay.max / 1e6).toFixed(0)} ms, ${grown.toFixed(0)} MiB`
  process.stdout.write(`100,000 files: ${said}\n`)
  expect(first?.sequence).toBe(1)
  expect(seconds, said).toBeLessThan(30)
  // 16 MiB of bodies, what each is known by, and what was not yet collected.
  expect(grown, said).toBeLessThan(250)
  const some = await again.next(200)
  for (const arrival of some.slice(-1)) {
    const { n } = JSON.parse(text((await again.body(arrival)).bytes))
    expect(n).toBe(arrival.sequence)
  }
  again.release(first ?? some[0] ?? fail())
})

function fail(): never {
  throw new Error('nothing was found')
}
