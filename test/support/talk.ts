/** Plays a talk of vectors/talks.json against a peer; the notation is in vectors/README.md. */
import { type AdmissionCrypto, Admitting, Joining } from '../../src/core/admission.ts'
import { TRUSTED_LIMITS } from '../../src/core/bounds.ts'
import type {
  CallContext,
  Caller,
  CallOptions,
  ItemStream,
  Subscription,
  SubscriptionOptions,
  Target,
} from '../../src/core/call.ts'
import { Link } from '../../src/core/link.ts'
import type { PeerOptions } from '../../src/core/linkCore.ts'
import { type Method, untyped } from '../../src/core/method.ts'
import { PeerCore } from '../../src/core/peer.ts'
import type { Callback } from '../../src/core/references.ts'
import { decodeBody } from '../../src/wire/body.ts'
import { CODES, isViaductError, ViaductError } from '../../src/wire/errors.ts'
import { type MakePeer, type RigPeer, whole } from '../core/rig.ts'
import { fromHex, placeholder, same, valueFrom } from '../wire/notation.ts'
import { isCallback } from './callback.ts'
import { TurnClock } from './clock.ts'
import { dictionaryOf, frameFrom, isObject, listOf, objectOf, readFrame, show, textOf } from './frames.ts'
import { ScriptedTransport } from './scriptedTransport.ts'

type Json = Record<string, unknown>

/** Values handed from the script to whoever iterates. */
class Pipe implements AsyncIterableIterator<unknown, unknown> {
  #ready: IteratorResult<unknown, unknown>[] = []
  #error: unknown
  #wake: (() => void) | undefined
  left = false

  give(value: unknown): void {
    this.#put({ done: false, value })
  }

  end(value?: unknown): void {
    this.#put({ done: true, value })
  }

  fail(error: unknown): void {
    this.#error = error
    this.#wake?.()
  }

  #put(result: IteratorResult<unknown, unknown>): void {
    this.#ready.push(result)
    this.#wake?.()
  }

  async next(): Promise<IteratorResult<unknown, unknown>> {
    for (;;) {
      const result = this.#ready.shift()
      if (result) return result
      if (this.#error !== undefined) throw this.#error
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  async return(): Promise<IteratorResult<unknown, unknown>> {
    this.left = true
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

interface Asked {
  readonly abort: AbortController
  readonly upload: Pipe | undefined
  readonly stream: ItemStream | undefined
  readonly items: AsyncIterator<unknown> | undefined
  readonly subscription: Subscription | undefined
  /** Calls of its functions that are not answered, oldest first. */
  readonly called: { settle(value: unknown): void; fail(error: unknown): void }[]
}

interface Answered {
  /** The functions in the input, by number. */
  readonly functions: Callback[]
  readonly call: CallContext
  readonly items: Pipe
  readonly uploads: AsyncIterator<unknown>
  settle(value: unknown): void
  fail(error: unknown): void
}

function fail(text: string): never {
  throw new Error(text)
}

/** A secret of the talk: it stands in for HMAC-SHA256 where a talk fixes nonces and keys. */
export interface TalkCrypto {
  mac(key: Uint8Array, ...parts: readonly (string | Uint8Array)[]): Uint8Array
}

/** Plays one talk against a peer, and fails where that says anything else. */
export class TalkPlayer {
  readonly #clock = new TurnClock()
  readonly #transport = new ScriptedTransport()
  readonly #talk: Json
  readonly #methods = new Map<string, Method>()
  readonly #withdraw = new Map<string, () => void>()
  readonly #started: { method: string; input: unknown; answered: Answered }[] = []
  readonly #asked = new Map<string, Asked>()
  readonly #answered = new Map<string, Answered>()
  #seen: Json[] = []
  #core: RigPeer | undefined
  readonly #crypto: AdmissionCrypto
  readonly #make: MakePeer

  /** @param make makes the peer that the talk is played against; what it can play, {@link playable} says. */
  constructor(talk: Json, crypto: TalkCrypto, make: MakePeer = whole) {
    this.#talk = talk
    this.#make = make
    const nonces = listOf(isObject(talk.admission) ? talk.admission.nonces : undefined).map((hex) =>
      fromHex(textOf(hex)),
    )
    this.#crypto = {
      mac: crypto.mac,
      equal: (one, other) => Buffer.from(one).equals(Buffer.from(other)),
      random: (bytes) => nonces.shift() ?? new Uint8Array(bytes),
    }
  }

  async play(): Promise<void> {
    if (this.#talk.side === 'hub') this.#beHub()
    else this.#bePeer()
    await this.#clock.settle()
    if (this.#talk.greeted !== false) {
      const preamble = objectOf({
        kind: 'PREAMBLE',
        method: 0x0101,
        id: '44414956',
        route: '1a544355',
        window: 10485760,
      })
      const mine = isObject(this.#talk.limits) ? this.#talk.limits.messageBytes : undefined
      this.#out({ ...preamble, ...(mine === undefined ? {} : { window: mine }) })
      this.#transport.receive(frameFrom(preamble))
    }
    await this.#clock.settle()
    for (const [index, step] of listOf(this.#talk.steps).entries()) {
      try {
        await this.#step(objectOf(step))
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error)
        fail(`step ${index} ${JSON.stringify(step).slice(0, 300)}: ${text}`)
      }
    }
    this.#quiet()
    if (this.#seen.length > 0) fail(`not looked at: ${JSON.stringify(this.#seen)}`)
    this.#transport.lose()
    await this.#clock.settle()
  }

  #bePeer(): void {
    const { limits, hub, admission, serves, methods } = this.#talk
    const options: Mutable<PeerOptions> = {
      clock: this.#clock,
      limits: { ...TRUSTED_LIMITS, ...(isObject(limits) ? limits : {}) },
      hub: hub === true,
    }
    let joining: Joining | undefined
    if (isObject(admission)) {
      const { id, key, pid } = admission
      joining = new Joining(
        {
          ...(typeof id === 'string' ? { id } : {}),
          ...(typeof key === 'string' ? { key: fromHex(key) } : {}),
          ...(typeof pid === 'number' ? { pid } : {}),
        },
        this.#crypto,
        ({ you, hub: far }) => {
          this.#whole().admitted(far)
          this.#seen.push({ see: 'admitted', id: you.id, zone: you.zone })
        },
      )
      options.admission = (kind, bytes, at, length) =>
        joining?.receive(this.#whole().link, kind, bytes, at, length)
    }
    const core = this.#make(this.#transport, options)
    this.#core = core
    void core.closed.then((reason) => this.#seen.push({ see: 'closed', reason }))
    if (core instanceof PeerCore) core.onRefused = (topic) => this.#seen.push({ see: 'refused', topic })
    joining?.begin(this.#whole().link)
    for (const described of [...listOf(methods), ...listOf(serves)]) {
      const given = objectOf(described)
      this.#methods.set(textOf(given.name), methodOf(given))
    }
    for (const described of listOf(serves)) this.#serve(textOf(objectOf(described).name))
  }

  /** The hub's side of an admission. */
  #beHub(): void {
    const { keys, identity, welcome } = objectOf(this.#talk.admission)
    const known = isObject(keys) ? keys : {}
    const admitting = new Admitting(
      {
        credential: (id) => {
          const key = Object.hasOwn(known, id) ? known[id] : undefined
          return typeof key === 'string' ? { identity: { id, type: id }, key: fromHex(key) } : undefined
        },
        admit: ({ id }) =>
          isObject(welcome) ? objectOf(valueFrom({ ...welcome, id: id || welcome.id })) : undefined,
        admitted: () => this.#seen.push({ see: 'admitted' }),
      },
      this.#crypto,
      isObject(identity) ? { id: textOf(identity.id), type: textOf(identity.type) } : undefined,
    )
    const link = new Link(this.#transport, this.#clock, TRUSTED_LIMITS.messageBytes, {
      admission: (kind, bytes, at, length) => admitting.receive(link, kind, bytes, at, length),
      frame: () => link.violation(),
      goaway: () => {},
      drained: () => {},
      closed: (reason) => this.#seen.push({ see: 'closed', reason }),
    })
  }

  #peer(): RigPeer {
    return this.#core ?? fail('there is no peer in this talk')
  }

  /** The peer, where topics or an admission are asked of it. */
  #whole(): PeerCore {
    const peer = this.#peer()
    return peer instanceof PeerCore ? peer : fail('this peer has no topics and no admission')
  }

  #method(name: unknown): Method {
    return this.#methods.get(textOf(name)) ?? fail(`unknown method ${String(name)}`)
  }

  #serve(name: string): void {
    const method = this.#method(name)
    const handler = (input: unknown, call: CallContext): unknown => {
      const items = new Pipe()
      let settle: (value: unknown) => void = () => {}
      let reject: (error: unknown) => void = () => {}
      const output = new Promise<unknown>((yes, no) => {
        settle = yes
        reject = no
      })
      const streams = method.kind !== 'call'
      const answered: Answered = {
        functions: functionsIn(input),
        call,
        items,
        uploads: call.upload[Symbol.asyncIterator](),
        settle: streams ? (value) => items.end(value) : settle,
        fail: streams ? (error) => items.fail(error) : reject,
      }
      this.#started.push({ method: name, input, answered })
      return streams ? items : output
    }
    this.#withdraw.set(name, this.#peer().handle(method, handler))
  }

  async #step(step: Json): Promise<void> {
    if ('out' in step) this.#out(step.out)
    else if ('see' in step) this.#see(step)
    else {
      this.#quiet()
      if ('in' in step)
        this.#transport.receive(...(Array.isArray(step.in) ? step.in : [step.in]).map(frameFrom))
      else if (step.do === 'pass') await this.#clock.pass(Number(step.ms))
      else this.#do(step)
      await this.#clock.settle()
    }
  }

  #quiet(): void {
    const frame = this.#transport.sent[0]
    if (frame) fail(`sent and not expected: ${show(frame)}`)
  }

  #out(described: unknown): void {
    const frame = this.#transport.sent.shift() ?? fail('nothing more was sent')
    const { bodyHas } = objectOf(described)
    if (isObject(bodyHas)) {
      const { payload } = readFrame(frame)
      const body = objectOf(decodeBody(payload, 0, payload.length, TRUSTED_LIMITS))
      const whole = frameFrom({ ...objectOf(described), payload: Buffer.from(payload).toString('hex') })
      const asSaid = Object.entries(bodyHas).every(([key, wanted]) => same(body[key], valueFrom(wanted)))
      if (!asSaid || !Buffer.from(whole).equals(Buffer.from(frame))) fail(`sent ${show(frame)}`)
      return
    }
    const expected = frameFrom(described)
    if (!Buffer.from(frame).equals(Buffer.from(expected)))
      fail(`sent ${show(frame)}\nexpected ${show(expected)}`)
  }

  #see(step: Json): void {
    if (step.see === 'call') {
      const next = this.#started.shift() ?? fail('no handler was started')
      if (next.method !== step.method || !same(next.input, valueFrom(step.input)))
        fail(`started ${next.method} with ${JSON.stringify(next.input)}`)
      if (step.from !== undefined && next.answered.call.peer.id !== step.from)
        fail(`its source is ${next.answered.call.peer.id}`)
      for (const mark of ['traceparent', 'idempotencyKey'] as const) {
        const came = next.answered.call[mark] ?? null
        if (step[mark] !== undefined && step[mark] !== came) fail(`its ${mark} is ${came}`)
      }
      const label = textOf(step.as)
      this.#answered.set(label, next.answered)
      next.answered.call.signal.addEventListener('abort', () =>
        this.#seen.push({ see: 'aborted', of: label }),
      )
      return
    }
    const value = 'value' in step ? valueFrom(step.value) : undefined
    const at = this.#seen.findIndex((seen) =>
      Object.entries(step).every(([key, wanted]) =>
        key === 'value' ? same(seen.value, value) : seen[key] === wanted,
      ),
    )
    if (at < 0) fail(`not seen; there is ${JSON.stringify(this.#seen)}, ${this.#started.length} started`)
    this.#seen.splice(at, 1)
  }

  /** Whom a step calls. */
  #to(step: Json): Caller {
    const peer = this.#peer()
    const target = targetOf(step.target)
    if (!target) return peer
    if (!peer.to) throw new Error('this peer has no targets')
    return peer.to(target)
  }

  #do(step: Json): void {
    const peer = this.#peer()
    const of = typeof step.of === 'string' ? step.of : ''
    const asked = this.#asked.get(of)
    const answered = this.#answered.get(of)
    const item = valueFrom(step.item)
    switch (step.do) {
      case 'call':
      case 'stream':
      case 'subscribe':
        return this.#ask(step)
      case 'notify': {
        const to = this.#to(step)
        const taken = to.notify(this.#method(step.method), valueFrom(step.input))
        return this.#note({ see: 'taken', taken })
      }
      case 'ask': {
        const to = this.#to(step)
        const value = to.isIdempotent?.(this.#method(step.method)) ?? false
        return this.#note({ see: 'idempotent', idempotent: value })
      }
      case 'publish':
        this.#whole().publish(this.#method(step.method), valueFrom(step.input), {
          ...(typeof step.key === 'string' ? { key: step.key } : {}),
        })
        return
      case 'read':
        return this.#read(
          of,
          asked?.items ?? answered?.uploads ?? fail(`nothing to read of ${of}`),
          asked?.subscription,
        )
      case 'where':
        return this.#note({ see: 'where', of, lastEventId: asked?.subscription?.lastEventId ?? null })
      case 'leave':
        void asked?.items?.return?.()
        return
      case 'cancel':
        if (asked?.stream) asked.stream.cancel()
        else asked?.abort.abort()
        return
      case 'return':
        asked?.called.shift()?.settle(valueFrom(step.value))
        return
      case 'throw':
        asked?.called.shift()?.fail(errorOf(step.error))
        return
      case 'back': {
        const label = textOf(step.as)
        const args = listOf(valueFrom(step.args))
        functionOf(
          answered,
          step,
        )(...args).then(
          (value) => this.#note({ see: 'value', of: label, value }),
          (error: unknown) => this.#note({ see: 'error', of: label, ...fateOf(error) }),
        )
        return
      }
      case 'keep':
        return functionOf(answered, step).keep(
          typeof step.leaseMs === 'number' ? { leaseMs: step.leaseMs } : {},
        )
      case 'release':
        return functionOf(answered, step).release()
      case 'give':
        ;(asked?.upload ?? answered?.items)?.give(item)
        return
      case 'finish':
        asked?.upload?.end()
        return
      case 'answer':
        answered?.settle(valueFrom(step.value))
        return
      case 'fail':
        answered?.fail(errorOf(step.error))
        return
      case 'progress':
        answered?.call.progress(valueFrom(step.value))
        return
      case 'serve':
        return this.#serve(textOf(step.method))
      case 'withdraw':
        this.#withdraw.get(textOf(step.method))?.()
        return
      case 'drain':
        void peer.drain()
        return
      case 'close':
        peer.close()
        return
      case 'stall':
        this.#transport.full = true
        return
      case 'flow':
        this.#transport.drain()
        return
      case 'lose':
        this.#transport.lose()
        return
      default:
        fail(`unknown action ${String(step.do)}`)
    }
  }

  #note(seen: Json): void {
    this.#seen.push(seen)
  }

  #ask(step: Json): void {
    const label = textOf(step.as)
    const abort = new AbortController()
    const upload = step.upload === true ? new Pipe() : undefined
    const { lane } = step
    const options: CallOptions = {
      timeoutMs: typeof step.timeoutMs === 'number' ? step.timeoutMs : 0,
      signal: abort.signal,
      ...(upload ? { upload } : {}),
      ...(lane === 'high' || lane === 'normal' || lane === 'low' ? { lane } : {}),
      ...(typeof step.window === 'number' ? { windowBytes: step.window } : {}),
      ...(step.do === 'subscribe'
        ? {}
        : { onProgress: (value: unknown) => this.#note({ see: 'progress', of: label, value }) }),
    }
    const called: Asked['called'] = []
    for (let number = 0; number < FUNCTIONS; number++) {
      placeholder(number).run = (args) => {
        this.#note({ see: 'called', of: label, function: number, value: args })
        return new Promise((settle, reject) => called.push({ settle, fail: reject }))
      }
    }
    const to = this.#to(step)
    let subscription: Subscription | undefined
    let output: Promise<unknown>
    let stream: ItemStream | undefined
    let items: AsyncIterator<unknown> | undefined
    if (step.do === 'call') output = to.call(this.#method(step.method), valueFrom(step.input), options)
    else if (step.do === 'stream') {
      stream = to.stream(this.#method(step.method), valueFrom(step.input), options)
      output = stream.output
      items = stream[Symbol.asyncIterator]()
    } else {
      const wanted: SubscriptionOptions = { ...options, ...this.#wish(label, step) }
      subscription =
        typeof step.pattern === 'string'
          ? this.#whole().subscribeAll(step.pattern, wanted)
          : this.#whole().subscribe(this.#method(step.method), wanted)
      output = subscription.ready.then(() => 'ready')
      items = subscription[Symbol.asyncIterator]()
    }
    this.#asked.set(label, { abort, upload, stream, items, subscription, called })
    output.then(
      (value) => this.#note({ see: 'value', of: label, value }),
      (error: unknown) => this.#note({ see: 'error', of: label, ...fateOf(error) }),
    )
  }

  #wish(of: string, { overflow, maxAgeMs, group, lastEventId }: Json): SubscriptionOptions {
    return {
      ...(overflow === 'error' || overflow === 'conflate' ? { overflow } : {}),
      ...(typeof maxAgeMs === 'number' ? { maxAgeMs } : {}),
      ...(typeof group === 'string' ? { group } : {}),
      ...(typeof lastEventId === 'string' ? { lastEventId } : {}),
      onGap: ({ missed, from, to }) => this.#note({ see: 'gap', of, missed: String(missed), from, to }),
    }
  }

  #read(of: string, items: AsyncIterator<unknown>, subscription?: Subscription): void {
    items.next().then(
      ({ done, value }) => {
        const { topic, eventId } = subscription?.last ?? {}
        this.#note(done ? { see: 'done', of } : { see: 'item', of, value, topic, eventId })
      },
      (error: unknown) => this.#note({ see: 'failed', of, ...fateOf(error) }),
    )
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

function fateOf(error: unknown): Json {
  if (!isViaductError(error)) return { code: String(error) }
  const { code, reason, fate, path, retryAfterMs } = error
  return { code, reason, fate, path, retryAfterMs }
}

/** So many functions a talk may number. */
const FUNCTIONS = 8

function functionOf(answered: Answered | undefined, step: Json): Callback {
  return answered?.functions[Number(step.function)] ?? fail(`there is no function ${String(step.function)}`)
}

/** The functions of an input, in the order in which they are met. */
function functionsIn(value: unknown, found: Callback[] = []): Callback[] {
  if (isCallback(value)) {
    if (!found.includes(value)) found.push(value)
  } else if (typeof value === 'object' && value !== null) {
    for (const one of Object.values(value)) functionsIn(one, found)
  }
  return found
}

function errorOf(described: unknown): unknown {
  if (typeof described === 'string') return described
  const { code, message, ...details } = objectOf(described)
  const known = Object.keys(CODES).find((name): name is keyof typeof CODES => name === code)
  return known ? new ViaductError(known, textOf(message), details) : new Error(textOf(message))
}

function targetOf(described: unknown): Target | undefined {
  if (!isObject(described)) return undefined
  if (typeof described.id === 'string') return { id: described.id }
  if (described.any === true) return { any: true }
  return { type: textOf(described.type) }
}

function methodOf(given: Json): Method {
  const { name, kind, upload, fingerprint, overflow } = given
  const input = dictionaryOf(given.input)
  const output = dictionaryOf(given.output)
  const item = dictionaryOf(given.items)
  const uploadItem = dictionaryOf(given.uploads)
  return {
    ...untyped(textOf(name), kind === 'stream' || kind === 'topic' ? kind : 'call', upload === true),
    fingerprint: typeof fingerprint === 'string' ? fingerprint : '',
    idempotent: given.idempotent === true,
    overflow: overflow === 'block' || overflow === 'conflate' ? overflow : 'drop-oldest',
    ...(input ? { input } : {}),
    ...(output ? { output } : {}),
    ...(item ? { item } : {}),
    ...(uploadItem ? { uploadItem } : {}),
  }
}
