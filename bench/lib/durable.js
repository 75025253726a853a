import { rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { makeArgs } from './payload.js'
import { percentile } from './statistics.js'

/**
 * W6: 64 producers, each of which waits for "stored" before its next message. Between the call of `enqueue` and the
 * handler at most `BACKLOG` messages stand, so that the rate is the rate of the whole cycle: who stores faster than
 * is handled waits. The consumer tells the producer how many were handled and acknowledged over a socket of the
 * bench's own, the same for everybody, about once for 32 messages or a millisecond.
 */

const PRODUCERS = 64
export const BACKLOG = 256
const REPORT_EVERY = 32
const REPORT_MS = 1
const REPORT_BYTES = 8
const MOST_LATENCIES = 1 << 20

/** Microseconds of the clock that all processes of a machine share. */
function nowUs() {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e6 + nanoseconds / 1e3
}

/** @param {string} dir */
const progressSocket = (dir) => join(dir, 'progress')

/**
 * The consumer of every contender, and what it saw. The contender calls `deliver` for each message and
 * `acknowledged` once what it promises of an acknowledgement holds.
 * @param {string} dir
 */
export function makeConsumer(dir) {
  const latencies = new Float64Array(MOST_LATENCIES)
  let received = 0
  let sum = 0
  let acknowledged = 0
  let firstAt = 0
  let firstCount = 0
  let lastAt = 0
  // These go on over all windows.
  let handledEver = 0
  let acknowledgedEver = 0
  let reported = 0
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  /** @type {import('node:net').Socket | undefined} */
  let producer

  const server = createServer((socket) => {
    producer = socket
    socket.on('error', () => {})
  })
  rmSync(progressSocket(dir), { force: true })
  server.listen(progressSocket(dir))

  function report() {
    clearTimeout(timer)
    timer = undefined
    reported = handledEver
    const counts = Buffer.allocUnsafe(REPORT_BYTES)
    counts.writeUInt32LE(handledEver, 0)
    counts.writeUInt32LE(acknowledgedEver, 4)
    producer?.write(counts)
  }

  return {
    handlers: {
      /** @param {import('./payload.js').Args} mail */
      async deliver(mail) {
        if (mail.tab.windowId !== 3 || mail.tags.length !== 2) throw new Error('the message was damaged')
        if (received < MOST_LATENCIES) latencies[received] = nowUs() - mail.sentAt
        received++
        sum += mail.seq
        handledEver++
        if (handledEver - reported >= REPORT_EVERY) report()
        else timer ??= setTimeout(report, REPORT_MS)
      },
      acknowledged(count = 1) {
        acknowledged += count
        acknowledgedEver += count
        lastAt = performance.now()
        if (firstAt === 0) {
          firstAt = lastAt
          firstCount = acknowledged
        }
        timer ??= setTimeout(report, REPORT_MS)
      },
    },
    reset() {
      received = sum = acknowledged = firstAt = firstCount = lastAt = 0
    },
    /** `received` is what was acknowledged: that alone counts. */
    state() {
      return {
        received: acknowledged,
        delivered: received,
        sum,
        timed: acknowledged - firstCount,
        timedMs: lastAt - firstAt,
      }
    },
    latency() {
      const sorted = latencies.subarray(0, Math.min(received, MOST_LATENCIES)).slice().sort()
      return { p50Us: percentile(sorted, 0.5), p99Us: percentile(sorted, 0.99) }
    },
  }
}

/** How far the consumer is. @type {ReturnType<typeof follow> | undefined} */
let progress
let seq = 0

/** @param {string} dir */
async function follow(dir) {
  let sent = 0
  let handled = 0
  let acknowledged = 0
  /** @type {(() => void)[]} */
  let waiting = []
  const socket = connect(progressSocket(dir))
  await new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(undefined))
    socket.once('error', reject)
  })
  // Counts are cumulative: only the last whole report is of interest.
  let rest = Buffer.alloc(0)
  socket.on('data', (bytes) => {
    const all = rest.length > 0 ? Buffer.concat([rest, bytes]) : bytes
    const whole = all.length - (all.length % REPORT_BYTES)
    if (whole > 0) {
      handled = all.readUInt32LE(whole - 8)
      acknowledged = all.readUInt32LE(whole - 4)
    }
    rest = all.subarray(whole)
    const released = waiting
    waiting = []
    for (const release of released) release()
  })
  const changed = () => new Promise((resolve) => waiting.push(() => resolve(undefined)))
  return {
    /** Settles when there is room in the backlog, which is taken. */
    async room() {
      while (sent - handled >= BACKLOG) await changed()
      sent++
    },
    /** Settles when all that was sent is acknowledged, and lets one more go. */
    async quiet() {
      while (acknowledged < sent) await changed()
      sent++
    },
  }
}

function makeMail() {
  const mail = makeArgs(seq++)
  mail.sentAt = nowUs()
  return mail
}

/**
 * @param {import('./contender.js').Client} client @param {number} ms @param {string} dir
 * @returns {Promise<import('./drivers.js').Run>}
 */
export async function enqueueing(client, ms, dir) {
  progress ??= follow(dir)
  const { room } = await progress
  const stored = new Float64Array(MOST_LATENCIES)
  let done = 0
  let sum = 0
  const start = performance.now()
  async function produce() {
    while (performance.now() - start < ms) {
      await room()
      const mail = makeMail()
      const { sentAt } = mail
      sum += mail.seq
      await client.enqueue(mail)
      if (done < MOST_LATENCIES) stored[done] = nowUs() - sentAt
      done++
    }
  }
  await Promise.all(Array.from({ length: PRODUCERS }, produce))
  const sorted = stored.subarray(0, Math.min(done, MOST_LATENCIES)).sort()
  return { done, elapsedMs: performance.now() - start, cpuUs: 0, sum, p50Us: percentile(sorted, 0.5) }
}

/** One message after the other, each when the one before was acknowledged: what a message costs that is alone.
 * @param {import('./contender.js').Client} client @param {number} ms @param {string} dir */
export async function enqueueingAlone(client, ms, dir) {
  progress ??= follow(dir)
  const { quiet } = await progress
  let done = 0
  const start = performance.now()
  while (performance.now() - start < ms) {
    await quiet()
    await client.enqueue(makeMail())
    done++
  }
  return { done }
}
