import { rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { makeArgs } from './payload.js'
import { percentile } from './statistics.js'

/**
 * W6: 64 producers, each of which waits for "stored" before its next message. From the call of `enqueue` to its
 * acknowledgement at the consumer at most `UNDER_WAY` messages are under way, so that the rate is the rate of the
 * whole cycle: who stores faster than is handled waits. The consumer tells the producer how many were acknowledged
 * over a socket of the bench's own, the same for everybody, at most once for 32 messages or a millisecond.
 */

const PRODUCERS = 64
export const UNDER_WAY = 256
const REPORT_EVERY = 32
const REPORT_MS = 1
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
  // These two go on over all windows.
  let total = 0
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
    reported = total
    const count = Buffer.allocUnsafe(4)
    count.writeUInt32LE(total)
    producer?.write(count)
  }

  return {
    handlers: {
      /** @param {import('./payload.js').Args} mail */
      async deliver(mail) {
        if (mail.tab.windowId !== 3 || mail.tags.length !== 2) throw new Error('the message was damaged')
        if (received < MOST_LATENCIES) latencies[received] = nowUs() - mail.sentAt
        received++
        sum += mail.seq
      },
      acknowledged(count = 1) {
        acknowledged += count
        total += count
        lastAt = performance.now()
        if (firstAt === 0) {
          firstAt = lastAt
          firstCount = acknowledged
        }
        if (total - reported >= REPORT_EVERY) report()
        else timer ??= setTimeout(report, REPORT_MS)
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

/** How many of the messages that were let go are not acknowledged. @type {ReturnType<typeof follow> | undefined} */
let progress
let seq = 0

/** @param {string} dir */
async function follow(dir) {
  let sent = 0
  let acknowledged = 0
  /** @type {(() => void)[]} */
  let waiting = []
  const socket = connect(progressSocket(dir))
  await new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(undefined))
    socket.once('error', reject)
  })
  /** Counts are cumulative and four bytes: only the last whole one is of interest. */
  let rest = Buffer.alloc(0)
  socket.on('data', (bytes) => {
    const all = rest.length > 0 ? Buffer.concat([rest, bytes]) : bytes
    const whole = all.length & ~3
    if (whole > 0) acknowledged = all.readUInt32LE(whole - 4)
    rest = all.subarray(whole)
    const released = waiting
    waiting = []
    for (const release of released) release()
  })
  return {
    /** Settles when fewer than `most` are under way; the caller's own then counts. @param {number} most */
    async enter(most) {
      while (sent - acknowledged >= most)
        await new Promise((resolve) => waiting.push(() => resolve(undefined)))
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
  const { enter } = await progress
  const stored = new Float64Array(MOST_LATENCIES)
  let done = 0
  let sum = 0
  const start = performance.now()
  async function produce() {
    while (performance.now() - start < ms) {
      await enter(UNDER_WAY)
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
  const { enter } = await progress
  let done = 0
  const start = performance.now()
  while (performance.now() - start < ms) {
    await enter(1)
    await client.enqueue(makeMail())
    done++
  }
  return { done }
}
