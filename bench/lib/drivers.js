import { CHUNK_BYTES, MIB, makeArgs, makeReply } from './payload.js'
import { percentile } from './statistics.js'
import { usage } from './usage.js'

/**
 * The caller's loops. Each runs for about `ms` and counts only what was completed and found right: one after the
 * other, until the operation that ends the window, with its time; 64 in flight, what ended inside the window.
 *
 * @typedef {object} Run
 * @property {number} done operations completed
 * @property {number} elapsedMs
 * @property {number} cpuUs of this process
 * @property {number} [p50Us]
 * @property {number} [p99Us]
 * @property {number} [sum] of the sequence numbers sent (W3, W6)
 *
 * @typedef {import('./contender.js').Client} Client
 */

const IN_FLIGHT = 64
const TURN_EVERY = 4096

let seq = 0

/** @param {Client} client */
async function oneRequest(client) {
  const args = makeArgs(seq++)
  const reply = await client.request(args)
  const expected = makeReply(args)
  if (reply.seq !== expected.seq || reply.words !== expected.words || reply.category !== expected.category)
    throw new Error(`the reply does not belong to the request: ${JSON.stringify(reply)}`)
}

/** W1. @param {Client} client @param {number} ms @returns {Promise<Run>} */
export async function sequential(client, ms) {
  return oneAfterTheOther(() => oneRequest(client), ms)
}

/** W4, 1 MiB as one message. @param {Client} client @param {number} ms @returns {Promise<Run>} */
export async function echo(client, ms) {
  const bytes = Buffer.alloc(MIB, 7)
  return oneAfterTheOther(async () => {
    const mark = seq++ & 255
    bytes[0] = bytes[MIB - 1] = mark
    const back = await client.echo(bytes)
    if (back.length !== MIB || back[0] !== mark || back[MIB - 1] !== mark)
      throw new Error('other bytes came back than were sent')
  }, ms)
}

/** W4, a byte stream of `bytes` sent and read back at once; as often as the window allows.
 * @param {number} bytes @returns {(client: Client, ms: number) => Promise<Run>} */
export function byteStream(bytes) {
  const chunk = Buffer.alloc(CHUNK_BYTES, 7)
  async function* source() {
    for (let left = bytes; left > 0; left -= CHUNK_BYTES)
      yield left >= CHUNK_BYTES ? chunk : chunk.subarray(0, left)
  }
  return (client, ms) =>
    oneAfterTheOther(async () => {
      let got = 0
      for await (const part of client.pipe(source())) {
        if (part[0] !== 7 || part[part.length - 1] !== 7)
          throw new Error('other bytes came back than were sent')
        got += part.length
      }
      if (got !== bytes) throw new Error(`${got} bytes came back, ${bytes} were sent`)
    }, ms)
}

/** @param {() => Promise<void>} once @param {number} ms @returns {Promise<Run>} */
async function oneAfterTheOther(once, ms) {
  const latencies = new Float64Array(1 << 20)
  let done = 0
  const used = usage()
  const start = performance.now()
  let now = start
  do {
    const from = now
    await once()
    now = performance.now()
    if (done < latencies.length) latencies[done] = now - from
    done++
  } while (now - start < ms)
  const cpuUs = used.cpuUs()
  const sorted = latencies.subarray(0, Math.min(done, latencies.length)).sort()
  return {
    done,
    elapsedMs: now - start,
    cpuUs,
    p50Us: percentile(sorted, 0.5) * 1000,
    p99Us: percentile(sorted, 0.99) * 1000,
  }
}

/** W2. @param {Client} client @param {number} ms @returns {Promise<Run>} */
export async function pipelined(client, ms) {
  let done = 0
  const used = usage()
  const start = performance.now()
  let last = start
  async function lane() {
    for (;;) {
      await oneRequest(client)
      const now = performance.now()
      if (now - start >= ms) return
      last = now
      done++
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  return { done, elapsedMs: last - start, cpuUs: used.cpuUs() }
}

/** W3: as many as the contender lets go; its rate is taken at the receiver.
 * @param {Client} client @param {number} ms @returns {Promise<Run>} */
export async function oneWay(client, ms) {
  let done = 0
  let sum = 0
  const used = usage()
  const start = performance.now()
  do {
    sum += seq
    const full = client.notify(makeArgs(seq++))
    done++
    if (full) await full
    // A program that never lets its loop turn is no program: everybody's turns once in a while.
    else if (done % TURN_EVERY === 0) await new Promise((resolve) => setImmediate(resolve))
  } while (performance.now() - start < ms)
  return { done, elapsedMs: performance.now() - start, cpuUs: used.cpuUs(), sum }
}

/** W7: one stream from the call to its end. @param {number} count @returns {(client: Client) => Promise<Run>} */
export function readItems(count) {
  return async (client) => {
    let done = 0
    const used = usage()
    const start = performance.now()
    for await (const item of client.items({ count })) {
      if (item.seq !== done) throw new Error(`item ${item.seq} came in place of ${done}`)
      done++
    }
    if (done !== count) throw new Error(`${done} items of ${count} came`)
    return { done, elapsedMs: performance.now() - start, cpuUs: used.cpuUs() }
  }
}

/** Reads a little of a stream and waits until told to break. @param {Client} client @param {number} count
 * @returns {Promise<{ read: number, stop(): Promise<void> }>} */
export async function holdItems(client, count) {
  const read = 10
  /** @type {() => void} */
  let release = () => {}
  const released = new Promise((resolve) => {
    release = () => resolve(undefined)
  })
  /** @type {Promise<void>} */
  let ended = Promise.resolve()
  await new Promise((paused, failed) => {
    ended = (async () => {
      let got = 0
      for await (const _ of client.items({ count })) {
        if (++got < read) continue
        paused(undefined)
        await released
        break
      }
    })()
    ended.catch(failed)
  })
  return {
    read,
    async stop() {
      release()
      await ended
    },
  }
}
