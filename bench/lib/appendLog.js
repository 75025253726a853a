import { closeSync, fdatasync, fdatasyncSync, openSync, readSync, watch, writeSync } from 'node:fs'
import { promisify } from 'node:util'

/** An append log written by hand: what no durable queue in JavaScript goes below. A length, and bytes of JSON. */

const sync = promisify(fdatasync)
const READ_BYTES = 256 * 1024
const LOOK_MS = 20

/**
 * One writer, group commit: what comes while one commit is under way makes up the next.
 * @param {string} path
 * @param {'sync' | 'block' | 'none'} how a commit is synced: beside the event loop, holding it up, or not at all
 */
export function appendLog(path, how) {
  const file = openSync(path, 'a')
  /** @type {{ text: string, stored(): void }[]} */
  let waiting = []
  let running = false

  async function commit() {
    running = true
    // What was set going by the last commit goes with this one: a turn of the loop, and half as many syncs.
    for (; waiting.length > 0; await new Promise((resolve) => setImmediate(resolve))) {
      const group = waiting
      waiting = []
      let bytes = 0
      for (const { text } of group) bytes += 4 + Buffer.byteLength(text)
      const buffer = Buffer.allocUnsafe(bytes)
      let at = 0
      for (const { text } of group) {
        const length = buffer.write(text, at + 4)
        buffer.writeUInt32LE(length, at)
        at += 4 + length
      }
      for (let done = 0; done < bytes; ) done += writeSync(file, buffer, done)
      if (how === 'sync') await sync(file)
      else if (how === 'block') fdatasyncSync(file)
      for (const { stored } of group) stored()
    }
    running = false
  }

  return {
    /** @param {string} text @returns {Promise<void>} */
    append(text) {
      return new Promise((stored) => {
        waiting.push({ text, stored })
        if (!running) {
          running = true
          process.nextTick(commit)
        }
      })
    },
    close: () => closeSync(file),
  }
}

/**
 * Reads a log that is being written, each time the system says that it changed.
 * @param {string} path @param {(text: string) => void} take
 */
export function followLog(path, take) {
  const file = openSync(path, 'a+')
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  let offset = 0
  function look() {
    for (;;) {
      const bytes = readSync(file, buffer, 0, READ_BYTES, offset)
      let at = 0
      while (at + 4 <= bytes) {
        const length = buffer.readUInt32LE(at)
        if (at + 4 + length > bytes) break
        take(buffer.toString('utf8', at + 4, at + 4 + length))
        at += 4 + length
      }
      if (at === 0) return
      offset += at
    }
  }
  const watcher = watch(path, look)
  // A notification may be lost.
  const timer = setInterval(look, LOOK_MS)
  return {
    close() {
      watcher.close()
      clearInterval(timer)
      closeSync(file)
    },
  }
}
