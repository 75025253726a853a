/** What both sides of the smoke tests import: a contract, a server of it, and what a client asks of that. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { contract, method, stream, topic, unchecked } from 'viaduct'

const any = unchecked()

export const smoke = contract('smoke', {
  echo: method({ input: any, output: any }),
  count: stream({ input: any, item: any, output: any }),
  sum: stream({ input: any, upload: any, output: any }),
  twice: stream({ input: any, upload: any, item: any }),
  hang: method({ input: any, output: any }),
  aborted: method({ output: any }),
  refuse: method({ output: any }),
  shout: method({ input: any }),
  heard: topic({ data: any }),
})

const all = { call: ['smoke.*'], publish: ['smoke.*'], subscribe: ['smoke.*'] }
/** For a hub: the one in it, a child of its, and one that joins. */
export const rules = { main: all, child: all, guest: { ...all, join: true, zone: 'trusted' } }

/** @param {import('viaduct').Peer} peer */
export function serveSmoke(peer) {
  let aborted = 0
  peer.serve(smoke, {
    echo: (input) => input,
    async *count(items) {
      for (let item = 0; item < items; item++) yield item
      return 'counted'
    },
    async sum(_input, { upload }) {
      let sum = 0
      for await (const item of upload) sum += item
      return sum
    },
    async *twice(_input, { upload }) {
      for await (const item of upload) yield 2 * item
    },
    async hang(_input, { signal }) {
      await once(signal, 'abort')
      aborted++
      throw signal.reason
    },
    aborted: () => aborted,
    refuse() {
      throw new Error('no')
    },
    shout(text) {
      peer.publish(smoke.heard, text)
    },
  })
}

async function* upTo(count) {
  for (let item = 0; item < count; item++) yield item
}

async function reasonOf(promise) {
  try {
    await promise
  } catch (error) {
    return error.reason
  }
  return 'nothing'
}

/**
 * Uses all that a client can, and throws at the first thing that is not as it should be.
 *
 * @param {import('viaduct').Peer} peer
 * @param {import('viaduct').Target | undefined} target
 */
export async function exercise(peer, target) {
  const api = peer.client(smoke, target)
  const patient = { timeoutMs: 20_000 }
  const step = async (what, run) => {
    try {
      await run()
    } catch (error) {
      throw new Error(`${what}: ${error?.message ?? error}`, { cause: error })
    }
  }
  await step('call', async () => {
    const value = { date: new Date(5), big: 2n ** 80n, map: new Map([[1, 'ä€😀']]), none: undefined }
    assert.deepEqual(await api.echo(value, patient), value)
    const inputs = Array.from({ length: 200 }, (_, number) => number)
    assert.deepEqual(await Promise.all(inputs.map((input) => api.echo(input, patient))), inputs)
  })
  await step('1 MB of binary', async () => {
    const sent = new Uint8Array(1_000_000).map((_, at) => at % 251)
    assert.equal(Buffer.compare(await api.echo(sent, patient), sent), 0)
  })
  await step('stream', async () => {
    let expected = 0
    const items = api.count(20_000)
    for await (const item of items) assert.equal(item, expected++)
    assert.equal(expected, 20_000)
    assert.equal(await items.output, 'counted')
  })
  await step('leaving a stream', async () => {
    for await (const item of api.count(1e9)) if (item === 10) break
    assert.equal(await api.echo('after', patient), 'after')
  })
  await step('upload', async () => {
    const options = { ...patient, upload: upTo(20_000) }
    assert.equal(await api.sum(undefined, options), (20_000 * 19_999) / 2)
  })
  await step('both ways', async () => {
    let expected = 0
    for await (const item of api.twice(undefined, { upload: upTo(2_000) })) assert.equal(item, 2 * expected++)
    assert.equal(expected, 2_000)
  })
  await step('cancel', async () => {
    const controller = new AbortController()
    const hanging = reasonOf(api.hang(undefined, { signal: controller.signal }))
    const before = await api.aborted(undefined, patient)
    controller.abort()
    assert.equal(await hanging, 'CANCELLED')
    const until = Date.now() + 5_000
    while ((await api.aborted(undefined, patient)) === before) assert.ok(Date.now() < until, 'not heard of')
  })
  await step('deadline', async () => {
    assert.equal(await reasonOf(api.hang(undefined, { timeoutMs: 30 })), 'DEADLINE_EXCEEDED')
  })
  await step('error', async () => {
    assert.equal(await reasonOf(api.refuse(undefined, patient)), 'HANDLER_ERROR')
  })
  if (target) {
    await step('topic', async () => {
      const events = peer.subscribe(smoke.heard)
      await events.ready
      await api.shout('hello', patient)
      for await (const text of events) {
        assert.equal(text, 'hello')
        break
      }
    })
  }
}
