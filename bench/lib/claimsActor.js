import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { client, contract, join, method, stream, unchecked } from 'viaduct'
import { memoryStore } from 'viaduct/cache-stores'
import { batch, cache, calleePolicies } from 'viaduct/policies'
import { forgetPeak, peakBytes, residentBytes } from './usage.js'

/** One process of the claims: `claimsActor.js BASE ROLE`, which does what it is told over the channel of its parent. */

export const APP = 'claims'
export const ITEM_BYTES = 64 * 1024
/** What the handler that is cached works. */
export const WORK_MS = 20
const METHODS = ['claims.*']

const claims = contract('claims', {
  like: method({ input: unchecked(), output: unchecked() }),
  empty: method({ input: unchecked(), output: unchecked() }),
  work: method({ input: unchecked(), output: unchecked() }),
  items: stream({ input: unchecked(), item: unchecked() }),
})

const handlers = {
  /** @param {unknown} input */
  like: (input) => input,
  empty: () => null,
  /** @param {number} input */
  work(input) {
    let sum = input
    for (const end = performance.now() + WORK_MS; performance.now() < end; ) sum = Math.sqrt(sum + 1)
    return { input, sum }
  },
  /** @param {number} bytes */
  async *items(bytes) {
    for (let sent = 0; sent < bytes; sent += ITEM_BYTES)
      yield new Uint8Array(ITEM_BYTES).fill(sent / ITEM_BYTES)
  },
}

/**
 * Starts a process that plays a role.
 * @param {string} base @param {'callee' | 'caller'} role
 */
export async function startActor(base, role) {
  const child = fork(fileURLToPath(import.meta.url), [base, role])
  /** @type {Promise<never>} */
  const gone = new Promise((_, reject) =>
    child.once('exit', (code, signal) => reject(new Error(`the ${role} ended: ${signal ?? code}`))),
  )
  gone.catch(() => {})
  /** @returns {Promise<any>} */
  const heard = () => Promise.race([new Promise((resolve) => child.once('message', resolve)), gone])
  await heard()
  return {
    /** @param {string} what @param {unknown} [input] */
    async ask(what, input) {
      const answer = heard()
      child.send({ what, input })
      const { value, error } = await answer
      if (error) throw new Error(`${what}: ${error}`)
      return value
    },
    async end() {
      child.disconnect()
      await gone.catch(() => {})
    },
  }
}

/** @param {string} base @param {string} role */
async function play(base, role) {
  const peer = await join({ app: APP, id: role, base, ready: false, reconnect: false })
  const operations = role === 'callee' ? {} : caller(peer)
  if (role === 'callee') {
    peer.serve(claims, handlers, { policies: calleePolicies({ batch: { methods: METHODS } }) })
  }
  await peer.ready()
  process.on('message', async (/** @type {{ what: string, input: any }} */ { what, input }) => {
    try {
      process.send?.({ value: await Reflect.get(operations, what)(input) })
    } catch (error) {
      process.send?.({ error: String(error) })
    }
  })
  process.once('disconnect', () => peer.close())
  process.send?.('ready')
}

/** @param {import('viaduct').Peer} peer */
function caller(peer) {
  const target = peer.to({ id: 'callee' })
  const bare = client(target, claims)
  const together = client(target, claims, { policies: [batch({ methods: METHODS })] })
  const kept = client(target, claims, { policies: [cache({ methods: METHODS, stores: [memoryStore()] })] })
  const clients = { bare, together, kept }
  return {
    /** Like calls at once. @param {{ by: 'bare' | 'together', calls: number }} input */
    async burst({ by, calls }) {
      const inputs = Array.from({ length: calls }, (_, n) => n)
      const answers = await Promise.all(inputs.map((n) => clients[by].like(n)))
      if (answers.some((answer, n) => answer !== n)) throw new Error('a wrong answer')
    },
    /** One call after the other: how long each took, ms. @param {{ by: 'bare' | 'together' | 'kept', name: 'like' | 'empty' | 'work', inputs: number[] }} input */
    async each({ by, name, inputs }) {
      const took = []
      for (const input of inputs) {
        const began = performance.now()
        await clients[by][name](input)
        took.push(performance.now() - began)
      }
      return took
    },
    /** Reads a stream, and perhaps keeps it all. @param {{ bytes: number, collects: boolean }} input */
    async read({ bytes, collects }) {
      await bare.empty(0)
      forgetPeak()
      const before = residentBytes()
      const all = []
      let read = 0
      for await (const item of bare.items(bytes)) {
        read += item.length
        if (collects) all.push(item)
      }
      if (read !== bytes) throw new Error(`${read} bytes came of ${bytes}`)
      const peak = peakBytes()
      return { peakBytes: peak, grownBytes: peak - before, items: all.length }
    },
  }
}

const [, program, base, role] = process.argv
if (program === fileURLToPath(import.meta.url)) await play(base, role)
