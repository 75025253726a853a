import { chmodSync } from 'node:fs'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'

/**
 * How the runner talks to its processes: lines of JSON over a Unix socket of its own, silent while a window is
 * measured, so that standard streams and the IPC channel are the contenders' to use.
 *
 * @typedef {object} Remote one process, seen from the runner
 * @property {string} key
 * @property {number} pid
 * @property {(op: string, args?: object) => Promise<any>} ask
 * @property {Promise<void>} gone
 */

/**
 * @param {string} path
 * @param {(remote: Remote) => void} onHello
 * @returns {Promise<{ close(): void }>}
 */
export async function listenControl(path, onHello) {
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set()
  const server = createServer((socket) => {
    sockets.add(socket)
    let number = 0
    /** @type {Map<number, { resolve(value: unknown): void, reject(error: Error): void }>} */
    const waiting = new Map()
    const gone = new Promise((resolve) => {
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        for (const { reject } of waiting.values()) reject(new Error('the process ended'))
        waiting.clear()
        resolve(undefined)
      })
    })
    createInterface({ input: socket }).on('line', (line) => {
      const message = JSON.parse(line)
      if (message.hello) {
        onHello({
          ...message.hello,
          gone,
          ask: (op, args) =>
            new Promise((resolve, reject) => {
              if (socket.destroyed) return reject(new Error('the process ended'))
              const id = ++number
              waiting.set(id, { resolve, reject })
              socket.write(`${JSON.stringify({ id, op, ...args })}\n`)
            }),
        })
        return
      }
      const waiter = waiting.get(message.id)
      waiting.delete(message.id)
      if (message.error === undefined) waiter?.resolve(message.value)
      else waiter?.reject(new Error(message.error))
    })
  })
  await new Promise((resolve, reject) => {
    server.on('error', reject)
    server.listen(path, () => resolve(undefined))
  })
  chmodSync(path, 0o600)
  return {
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
