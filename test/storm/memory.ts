import { readdirSync, readlinkSync } from 'node:fs'
import { collectGarbage } from '../support/garbage.ts'

export interface Memory {
  readonly heapBytes: number
  readonly rssBytes: number
}

/** What this process holds when its garbage is gone. */
export function memoryNow(): Memory {
  collectGarbage()
  const { heapUsed, rss, arrayBuffers } = process.memoryUsage()
  return { heapBytes: heapUsed + arrayBuffers, rssBytes: rss }
}

/** What this process has open, in the system's words. */
export function descriptors(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [`${fd} ${readlinkSync(`/proc/self/fd/${fd}`)}`]
    } catch {
      return [] // That of the folder which was just read.
    }
  })
}
