/**
 * A hub for the tests of another language: `node hub.mjs <app> <base>`. Its own peer serves `node.*`, by which
 * a test has it call, read, publish and supervise. It prints `ready` once peers may join, and ends with its input.
 */
import { vectorHandlers } from './vectors.mjs'

const root = new URL('../../../', import.meta.url)
const load = (module) => import(new URL(`dist/${module}`, root).href)
const { Hub, ViaductError, contract, isViaductError, method, nodePrimitives, unchecked } =
  await load('index.js')
const { codecs } = await load('codecs/index.js')
const { Envelope } = await load('wire/envelope.js')
const { makeDictionary } = await load('wire/dictionary.js')
const { BodyEncoder } = await load('wire/body.js')

const [app, base] = process.argv.slice(2)
const bulky = contract('bulky', { echo: method({ input: unchecked(), output: unchecked(), compress: true }) })
const sealedValue = new Envelope(2, new Uint8Array(100))
const all = { zone: 'trusted', call: ['*'], publish: ['*'], subscribe: ['*'] }
const hub = await Hub.listen({
  app,
  base,
  replay: { '*': { count: 100 }, 'brief.*': { count: 2 }, 'unkept.*': { count: 0 } },
  manifest: {
    main: all,
    python: all,
    'python-1': { ...all, join: true },
    'python-2': { ...all, join: true },
    guest: { zone: 'untrusted', join: true, call: ['node.echo'] },
  },
})

const plain = { upload: false, fingerprint: '', lane: 'normal', idempotent: false, overflow: 'drop-oldest' }
const typed = { ...plain, fingerprint: '00c0ffee00c0ffee' }
/** The same method as the Python side declares, with dictionaries. */
const shaped = {
  ...typed,
  name: 'shaped.swap',
  kind: 'call',
  input: makeDictionary([['left', 'right', 'note']]),
  output: makeDictionary([['right', 'left']]),
}
const methodOf = (name, kind = 'call') => (name === shaped.name ? shaped : { ...plain, name, kind })

const describe = (error) =>
  isViaductError(error)
    ? {
        code: error.code,
        reason: error.reason,
        fate: error.fate,
        data: error.data,
        path: error.path,
        message: error.message,
      }
    : { code: 'THROWN', message: String(error) }

const settle = async (promise) => {
  try {
    return { value: await promise }
  } catch (error) {
    return { error: describe(error) }
  }
}

/** Handlers that were aborted, and who waits for how many of them. */
let aborted = 0
let watchers = []
const countAborted = () => {
  aborted++
  for (const look of watchers) look()
}
/** Calls of `node.abandon`, each with what ends it. */
const abandoned = new Map()
const until = (signal) => new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))

/** The function that `node.callBack` kept last, and what the one of `node.lend` was called with. */
let kept
let seen = []

const calls = {
  echo: (input) => input,
  add: ({ a, b }) => a + b,
  nothing: () => {},
  async hang(_, call) {
    await until(call.signal)
    countAborted()
    throw call.signal.reason
  },
  /** How many handlers were aborted, as soon as they are so many. */
  aborted: (atLeast) =>
    new Promise((resolve) => {
      const look = () => {
        if (aborted < atLeast) return
        watchers = watchers.filter((other) => other !== look)
        resolve(aborted)
      }
      watchers.push(look)
      look()
    }),
  whoCalls: (_, call) => ({ id: call.peer.id, timeLeftMs: call.timeLeftMs }),
  progress(steps, call) {
    for (const step of steps) call.progress(step)
    return steps.length
  },
  fail(how) {
    if (how === 'declared')
      throw new ViaductError('FAILED_PRECONDITION', 'too long', { reason: 'TooLong', data: { max: 3 } })
    if (how === 'error') throw new TypeError('broken')
    throw how
  },
  async sum(_, call) {
    let sum = 0
    for await (const item of call.upload) sum += typeof item === 'number' ? item : item.length
    return sum
  },
  /** Calls a method of a peer; answers with its value or error. */
  call: ({ method, input, target, timeoutMs }) =>
    settle(hub.peer.call(methodOf(method), input, { target, timeoutMs })),
  /** Calls it, and cancels the call when `node.cancel` says so. */
  async abandon({ method, input, target }) {
    const controller = new AbortController()
    abandoned.set(method, controller)
    return settle(hub.peer.call(method, input, { target, timeoutMs: 0, signal: controller.signal }))
  },
  cancel: (method) => abandoned.get(method).abort(),
  /** Reads a stream, whole or up to `leaveAfter` items. */
  async read({ method, input, target, leaveAfter = Infinity, windowBytes }) {
    const stream = hub.peer.stream(methodOf(method, 'stream'), input, {
      target,
      ...(windowBytes === undefined ? {} : { windowBytes }),
    })
    const items = []
    try {
      for await (const item of stream) if (items.push(item) >= leaveAfter) break
    } catch (error) {
      return { items, error: describe(error) }
    }
    return { items, ...(await settle(stream.output)) }
  },
  async upload({ method, target, items }) {
    async function* give() {
      yield* items
    }
    return settle(
      hub.peer.call({ ...plain, name: method, kind: 'call', upload: true }, undefined, {
        target,
        upload: give(),
      }),
    )
  },
  /** Calls the caller's function with 0 to `times - 1`, one after the other, and keeps it for `leaseMs` if given. */
  async callBack({ callback, times, leaseMs }) {
    if (leaseMs !== undefined) {
      kept = callback
      kept.keep({ leaseMs })
    }
    const given = []
    for (let number = 0; number < times; number++) given.push(await settle(callback(number)))
    return given
  },
  callKept: (value) => settle(kept(value)),
  release: () => kept.release(),
  /** Lends a function to a method, which answers with double of a number, and throws at a text. */
  lend({ method, target }) {
    seen = []
    const double = (value) => {
      seen.push(value)
      if (typeof value === 'string') throw new ViaductError('NOT_FOUND', value, { reason: 'NoPage' })
      return typeof value === 'number' ? value * 2 : value
    }
    return settle(hub.peer.call(methodOf(method), { double }, { target }))
  },
  seen: () => seen,
  compressed: ({ target, text }) => {
    const policies = [codecs({ primitives: nodePrimitives })]
    return hub.peer.client(bulky, target, { policies }).echo(text)
  },
  sealed: ({ target }) => settle(hub.peer.core.to(target).call(methodOf('bulky.echo', 'call'), sealedValue)),
  publish({ topic, value, key }) {
    hub.peer.core.publish(methodOf(topic, 'topic'), value, key === undefined ? {} : { key })
  },
  admit: ({ id, type }) => hub.admit(id, { type }),
  supervise: ({ id, ...spec }) => hub.supervise(id, spec),
  whenReady: (id) => hub.whenReady(id),
  kill: ({ id, signal }) => hub.kill(id, signal),
  stop: (id) => hub.stop(id),
  /** Why a child is lost the next time, and what was seen of it. */
  nextLoss: (id) =>
    new Promise((resolve) => {
      const stop = hub.onChange((change) => {
        if (change.id !== id || change.state !== 'backoff') return
        stop()
        resolve({ reason: change.reason, evidence: change.evidence })
      })
    }),
  status: async (id) => (await hub.children()).find((child) => child.id === id),
}

Object.assign(calls, vectorHandlers({ hub, plain, settle, BodyEncoder, makeDictionary }))

const streams = {
  async *count({ upTo, size = 0 }, call) {
    for (let number = 1; number <= upTo; number++) {
      if (call.signal.aborted) return
      yield size > 0 ? new Uint8Array(size).fill(number) : number
    }
    return upTo
  },
  async *forever() {
    try {
      for (let number = 0; ; number++) yield number
    } finally {
      countAborted()
    }
  },
  /** The events of a topic or pattern, as soon as `ready` has been read. */
  async *listen(name) {
    const events = hub.peer.core.subscribeAll(name)
    await events.ready
    yield 'ready'
    for await (const { topic, data } of events) yield { topic, data, source: events.last.source }
  },
  async *double(_, call) {
    for await (const item of call.upload) yield item * 2
    return 'done'
  },
  async *breaks(after) {
    for (let number = 0; number < after; number++) yield number
    throw new ViaductError('DATA_LOSS', 'torn', { reason: 'TORN' })
  },
}

for (const [name, handler] of Object.entries(calls)) hub.peer.handle(`node.${name}`, handler)
for (const [name, handler] of Object.entries(streams))
  hub.peer.handle(methodOf(`node.${name}`, 'stream'), handler)
hub.peer.handle({ ...shaped, name: 'node.swap' }, ({ left, right }) => ({ right: left, left: right }))

process.stdin.resume().on('end', async () => {
  await hub.close()
  process.exit(0)
})
console.log('ready')
