import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { median } from './statistics.js'

/** Types of statfs that keep their files in memory: tmpfs, ramfs. */
const MEMORY = [0x01021994, 0x858458f6]
const TRIES = 50

/** Why nothing durable can be measured in the folder for temporary files, or nothing. */
export function noDisk() {
  if (!MEMORY.includes(statfsSync(tmpdir()).type)) return undefined
  return `${tmpdir()} is memory: set TMPDIR to a folder on a disk`
}

/** What appending 4 KiB and syncing them takes there, the median, in milliseconds. */
export function syncMs() {
  const folder = mkdtempSync(join(tmpdir(), 'viaduct-bench-'))
  const file = openSync(join(folder, 'probe'), 'w')
  const bytes = Buffer.alloc(4096, 1)
  const took = Array.from({ length: TRIES }, () => {
    writeSync(file, bytes)
    const from = performance.now()
    fdatasyncSync(file)
    return performance.now() - from
  })
  closeSync(file)
  rmSync(folder, { recursive: true })
  return median(took)
}
