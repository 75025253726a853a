import { readdirSync, readlinkSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export interface Memory {
  readonly heapBytes: number
  readonly rssBytes: number
}

let collect: (() => void) | undefined

/** What this process holds when its garbage is gone. */
export function memoryNow(): Memory {
  if (!collect) {
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc')
  }
  // Twice: what finalizers let go of is garbage of the second round.
  collect?.()
  collect?.()
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
