import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { nodeFiles } from '../../src/mailbox/files.ts'
import { Journal } from '../../src/mailbox/journal.ts'
import { bundleFile } from '../host/bundle.ts'
import { Claimant } from '../host/claimant.ts'

let scripts: string
let script: string
let folder: string
let running: Claimant | undefined

beforeAll(() => {
  scripts = mkdtempSync(join(tmpdir(), 'vl-'))
  script = bundleFile(join(import.meta.dirname, 'fixtures', 'starts.mjs'), scripts)
})
afterAll(() => rmSync(scripts, { recursive: true }))
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vl-'))
})
afterEach(async () => {
  await running?.kill()
  rmSync(folder, { recursive: true })
})

/** All that a process said until it ended, or was killed after so many lines. */
async function linesOf(mode: string, killAfter = Number.POSITIVE_INFINITY): Promise<string[]> {
  const child = new Claimant(script, folder, mode)
  running = child
  // What the system prints of an abort.
  child.process.stderr.unpipe().resume()
  const exit = once(child.process, 'exit')
  const lines: string[] = []
  for (let line = await child.line(); line !== undefined; line = await child.line()) {
    if (lines.push(line) === killAfter) child.process.kill('SIGKILL')
  }
  await exit
  return lines
}

const entry = (id: string) => ({ id, sender: 's', sequence: Number(id.slice(1)) + 1, redriven: 0 })

describe('starts that a process did not survive', () => {
  it('are counted one by one, of the message that ends it and of none that ran beside it', async () => {
    const others = ['m7', 'm6', 'm5', 'm4', 'm3', 'm2', 'm1']
    expect(await linesOf('poison')).toEqual([
      'suspects ',
      ...others.map((id) => `start ${id} 1`),
      'start m0 1',
    ])
    expect(await linesOf('poison')).toEqual([
      'suspects m0 m1 m2 m3 m4 m5 m6 m7',
      ...others.map((id) => `start ${id} 2`),
      'start m0 2',
    ])
    expect(await linesOf('poison')).toEqual(['suspects m0', 'start m0 3'])
    expect(await linesOf('poison')).toEqual(['suspects m0', 'start m0 4'])
    expect(await linesOf('poison')).toEqual(['suspects m0', 'dead m0'])
    const journal = await Journal.open({ files: nodeFiles, folder, concurrency: 8 })
    for (const id of others) expect(journal.known(entry(id))).toBe('done')
    expect(journal.known(entry('m0'))).toBe('dead')
    expect([...journal.suspects]).toEqual([])
    await journal.close()
  })

  it('are counted as often as they happened, of those that were to follow the one that ends it as well', async () => {
    const starts = new Map<string, number[]>()
    const dead: string[] = []
    let lives = 0
    for (let open = true; open; lives++) {
      const lines = await linesOf('batch')
      for (const line of lines) {
        const [what, id = '', attempt] = line.split(' ')
        if (what === 'dead') dead.push(id)
        else starts.set(id, [...(starts.get(id) ?? []), Number(attempt)])
      }
      open = ['start m2', 'start m5'].some((poison) => lines.at(-1)?.startsWith(poison))
    }
    expect(lives).toBe(9)
    expect(dead).toEqual(['m2', 'm5'])
    for (const id of ['m2', 'm5']) expect(starts.get(id)).toEqual([1, 2, 3, 4])
    for (const id of ['m0', 'm1']) expect(starts.get(id)).toEqual([1, 2])
    for (const id of ['m3', 'm4']) expect(starts.get(id)).toEqual([1, 2])
    for (const id of ['m6', 'm7']) expect(starts.get(id)).toEqual([1])
  })

  it('are neither lost nor made up when it is killed at any time', async () => {
    const said = { starting: new Map<string, number>(), started: new Map<string, number>() }
    const done = new Set<string>()
    const failed = new Set<string>()
    let [from, suspects] = [0, 0]
    for (let round = 0; round < 8; round++) {
      for (const line of await linesOf(`${from}`, 5 + round * 217)) {
        const [what, id = ''] = line.split(' ')
        if (what === 'starting' || what === 'started') {
          said[what].set(id, (said[what].get(id) ?? 0) + 1)
          failed.delete(id)
        } else if (what === 'done') done.add(id)
        else failed.add(id)
        from = Math.max(from, Number(id.slice(1)) + 1)
      }
      const journal = await Journal.open({ files: nodeFiles, folder, concurrency: 8, dedupe: 50 })
      for (const [id, most] of said.starting) {
        if (done.has(id)) expect(journal.known(entry(id))).toBe('done')
        if (journal.known(entry(id)) !== 'open') continue
        expect(journal.starts(id)).toBeGreaterThanOrEqual(said.started.get(id) ?? 0)
        expect(journal.starts(id)).toBeLessThanOrEqual(most)
        if (failed.has(id) && said.started.get(id) === most) expect(journal.suspects).not.toContain(id)
      }
      suspects += journal.suspects.size
      expect(journal.suspects.size).toBeLessThanOrEqual(8 * (round + 1))
      await journal.close()
    }
    expect(done.size).toBeGreaterThan(20)
    expect(suspects).toBeGreaterThan(0)
  })
})
