import { randomUUID } from 'node:crypto'
import { openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Peer } from 'viaduct'
import { storm } from './contract.ts'

const TICK_MS = 4

/** Where handlers write down that they ran: a write to a file opened with O_APPEND, which no kill takes back. */
export function runLog(folder: string, id: string): (n: string) => void {
  const log = openSync(join(folder, `${id}.log`), 'a')
  return (n) => void writeSync(log, `${n}\n`)
}

/** Serves the storm's contract. Before a handler does anything else it writes down the number of its call. */
export function serveStorm(peer: Peer, ran: (n: string) => void): () => void {
  return peer.serve(storm, {
    async note({ n, waitMs, bytes }) {
      ran(n)
      if (waitMs > 0) await sleep(waitMs)
      return { n, fill: new Uint8Array(bytes) }
    },
    mark({ n }) {
      ran(n)
    },
    async *count({ n, items }) {
      ran(n)
      for (let item = 0; item < items; item++) yield item
      return items
    },
    async sum({ n }, call) {
      ran(n)
      let sum = 0
      for await (const item of call.upload) sum += item
      return sum
    },
    async *twice({ n }, call) {
      ran(n)
      let items = 0
      for await (const item of call.upload) {
        items++
        yield item * 2
      }
      return items
    },
  })
}

/** Publishes numbered ticks, until the returned function is called. A tick that is not taken has no number. */
export function publishTicks(peer: Peer): () => void {
  const life = randomUUID()
  let at = 0
  const timer = setInterval(() => {
    if (peer.isConnected && peer.publish(storm.tick, { life, at })) at++
  }, TICK_MS)
  return () => clearInterval(timer)
}
