import { mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AppendLog, usedBytes } from '../../src/mailbox/appendLog.ts'
import { type Files, nodeFiles } from '../../src/mailbox/files.ts'
import { errno, SimulatedDisk } from './simulatedDisk.ts'

const FOLDER = '/box'
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const texts = async (log: AppendLog): Promise<string[]> => {
  const all: string[] = []
  for (const segment of log.segments) {
    for (const { payload } of await log.read(segment)) all.push(new TextDecoder().decode(payload))
  }
  return all
}
const opened = (files: Files, more = {}): Promise<AppendLog> =>
  AppendLog.open({ files, folder: FOLDER, ...more })

describe('an append-only log', () => {
  it.each([
    ['segments of a few records', 256, 7, 2, 200],
    ['zeros behind the end', 64 * 1024, 1_500, 1, 150],
  ])(
    'loses nothing that was acknowledged and tears nothing, whatever a crash leaves at any operation: %s',
    async (_, segmentBytes, step, overSegments, overStates) => {
      const disk = new SimulatedDisk()
      disk.losesFolders = true
      const acknowledged: string[] = []
      const offered: string[] = []
      let checking: Promise<void>[] = []
      let states = 0
      disk.after = () => {
        const known = [...acknowledged]
        const possible = [...offered]
        for (const crashed of disk.crashes()) {
          states++
          checking.push(
            (async () => {
              const found = await texts(await opened(crashed))
              // What was acknowledged is a prefix of what is found, which is a prefix of what was offered.
              expect(found.slice(0, known.length)).toEqual(known)
              expect(possible.slice(0, found.length)).toEqual(found)
            })(),
          )
        }
      }
      const log = await opened(disk, { segmentBytes })
      for (let group = 0; group < 6; group++) {
        const appended = []
        for (let one = 0; one < 5; one++) {
          const text = `${group}.${one} ${'x'.repeat(one * step)}`
          offered.push(text)
          appended.push(log.append(bytes(text)).then(() => acknowledged.push(text)))
        }
        await Promise.all(appended)
        await Promise.all(checking)
        checking = []
      }
      expect(acknowledged).toEqual(offered)
      expect(log.segments.length).toBeGreaterThan(overSegments)
      expect(states).toBeGreaterThan(overStates)
      await log.close()
    },
  )

  it('has zeros behind its end while it is written, which stand for nothing', async () => {
    const disk = new SimulatedDisk()
    const path = `${FOLDER}/0000000001.log`
    const sizes = new Set<number>()
    const log = await opened(disk)
    const append = async (): Promise<void> => {
      await log.append(new Uint8Array(1_000).fill(7))
      sizes.add((await disk.status(path)).size)
    }
    for (let count = 1; count <= 16; count++) await append()
    expect(sizes.size).toBe(16)
    sizes.clear()
    for (let count = 17; count <= 160; count++) await append()
    expect(sizes.size).toBeLessThan(6)
    expect((await disk.status(path)).size).toBeGreaterThan(160 * 1_008)
    expect(await usedBytes(disk, path)).toBe(160 * 1_008)
    // The process may end now, or close it.
    expect(await (await opened(disk)).read(1)).toHaveLength(160)
    await log.close()
    expect((await disk.status(path)).size).toBe(160 * 1_008)
    expect(await usedBytes(disk, path)).toBe(160 * 1_008)
  })

  it('does without sync what survives a killed process, and then a power loss may take it', async () => {
    const disk = new SimulatedDisk()
    const log = await opened(disk, { durability: 'process-crash' })
    await log.append(bytes('kept by the system'))
    expect(await texts(await opened([...disk.crashes()].at(0) as SimulatedDisk))).toEqual([])
    expect(await texts(await opened(disk))).toEqual(['kept by the system'])
  })

  it('gathers what is appended while a commit is under way', async () => {
    const disk = new SimulatedDisk()
    let syncs = 0
    disk.before = (operation) => {
      if (operation === 'sync') syncs++
    }
    const log = await opened(disk)
    const order: number[] = []
    await Promise.all(
      Array.from({ length: 1000 }, (_, index) => log.append(bytes(`${index}`)).then(() => order.push(index))),
    )
    expect(order).toEqual([...order].sort((one, other) => one - other))
    expect(syncs).toBeLessThanOrEqual(2)
    expect(await texts(log)).toHaveLength(1000)
  })

  it.each(['ENOSPC', 'EIO'] as const)(
    'refuses with a code at %s in any operation, and goes on',
    async (code) => {
      for (const operation of ['create', 'write', 'sync', 'syncFolder']) {
        const disk = new SimulatedDisk()
        const log = await opened(disk, { segmentBytes: 64 })
        await log.append(bytes('before'))
        disk.before = (now, path) => {
          if (now === operation) throw errno(code, path)
        }
        const refused = await Promise.allSettled(
          [1, 2, 3].map((n) => log.append(bytes(`refused ${n} ${'x'.repeat(60)}`))),
        )
        for (const one of refused) {
          expect(one).toMatchObject({
            status: 'rejected',
            reason: { code: code === 'ENOSPC' ? 'RESOURCE_EXHAUSTED' : 'UNAVAILABLE', fate: 'unknown' },
          })
        }
        disk.before = () => {}
        await log.append(bytes('after'))
        const found = await texts(await opened(disk))
        expect(found.at(0)).toBe('before')
        expect(found.at(-1)).toBe('after')
        await log.close()
      }
    },
  )

  it('reads what another process left, up to what is not whole, on a real disk', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vl-'))
    try {
      const log = await AppendLog.open({ files: nodeFiles, folder })
      for (let index = 0; index < 20; index++) await log.append(bytes(`record ${index}`))
      await log.close()
      const path = join(folder, '0000000001.log')
      truncateSync(path, statSync(path).size - 9)
      const again = await AppendLog.open({ files: nodeFiles, folder })
      expect(await texts(again)).toHaveLength(19)
      await again.append(bytes('more'))
      expect((await texts(again)).at(-1)).toBe('more')
      await again.remove(1)
      expect(await texts(again)).toEqual(['more'])
      await again.close()
      writeFileSync(join(folder, '0000000009.log'), 'no log at all')
      expect(await texts(await AppendLog.open({ files: nodeFiles, folder }))).toEqual(['more'])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('writes its head first in each segment, in the same write as the first commit', async () => {
    const disk = new SimulatedDisk()
    let writes = 0
    disk.before = (operation) => {
      if (operation === 'write') writes++
    }
    let state = 0
    const log = await opened(disk, {
      segmentBytes: 64,
      head: () => [bytes(`head ${++state}`), bytes('and more')],
    })
    for (const text of ['a'.repeat(20), 'b', 'c'.repeat(30)]) {
      const at = await log.append(bytes(text))
      const record = (await log.read(at.segment)).find(({ offset }) => offset === at.offset)
      expect(new TextDecoder().decode(record?.payload)).toBe(text)
    }
    expect(writes).toBe(3)
    expect(await texts(log)).toEqual([
      ...['head 1', 'and more', 'a'.repeat(20)],
      ...['head 2', 'and more', 'b'],
      ...['head 3', 'and more', 'c'.repeat(30)],
    ])
    const empty = await opened(disk, { head: () => [new Uint8Array(0)] })
    await expect(empty.append(bytes('d'))).rejects.toMatchObject({ reason: 'MESSAGE_TOO_LARGE' })
  })

  it('refuses what is empty, too long, or comes when it is closed', async () => {
    const log = await opened(new SimulatedDisk(), { maxPayloadBytes: 10 })
    await expect(log.append(new Uint8Array(0))).rejects.toMatchObject({ reason: 'MESSAGE_TOO_LARGE' })
    await expect(log.append(new Uint8Array(11))).rejects.toMatchObject({ fate: 'not-sent' })
    await log.close()
    await expect(log.append(new Uint8Array(1))).rejects.toMatchObject({ reason: 'CLOSED' })
  })
})
