import type {
  CallContext,
  Caller,
  CallOptions,
  Delivery,
  Handler,
  ItemStream,
  Publisher,
  Server,
  Serving,
  Subscription,
  TopicEvent,
} from '../../src/core/call.ts'
import type { Method } from '../../src/core/method.ts'
import { serving } from '../../src/core/serving.ts'
import { ViaductError } from '../../src/wire/errors.ts'

/** Caller, server and publisher in one, joined by function calls: contracts without wire and link. */
export class DirectLink implements Caller, Server, Publisher {
  readonly handlers = new Map<string, Handler>()
  readonly notified: [string, unknown][] = []
  readonly published: [string, unknown, unknown][] = []
  readonly progress: unknown[] = []
  readonly signals: AbortSignal[] = []
  readonly events: unknown[] = []
  readonly patterns: string[] = []
  lastOptions: CallOptions | undefined
  delivery: Delivery | undefined

  handle(method: Method, handler: Handler): Serving {
    if (this.handlers.has(method.name)) throw new Error(`${method.name} is served already`)
    this.handlers.set(method.name, handler)
    return serving(async () => {
      if (this.handlers.get(method.name) === handler) this.handlers.delete(method.name)
    })
  }

  async call(method: Method, input: unknown, options?: CallOptions): Promise<unknown> {
    this.lastOptions = options
    return await this.#start(method, input, options)
  }

  stream(method: Method, input: unknown, options?: CallOptions): ItemStream {
    this.lastOptions = options
    const { promise: output, resolve, reject } = deferred()
    output.catch(() => undefined)
    let source: AsyncIterator<unknown, unknown> | undefined
    const started = new Promise<AsyncIterator<unknown, unknown>>((open) => {
      open(iteratorOf(this.#start(method, input, options)))
    })
    started.catch(reject)
    const iterator: AsyncIterator<unknown> = {
      next: async () => {
        try {
          source = await started
          const result = await source.next()
          if (result.done) resolve(result.value)
          return result.done ? { done: true, value: undefined } : result
        } catch (error) {
          reject(error)
          throw error
        }
      },
      return: async () => {
        reject(new ViaductError('CANCELLED', 'left'))
        await source?.return?.()
        return { done: true, value: undefined }
      },
    }
    return {
      output,
      cancel: (reason) => {
        reject(reason ?? new ViaductError('CANCELLED', 'cancelled'))
        void source?.return?.()
      },
      [Symbol.asyncIterator]: () => iterator,
    }
  }

  notify(method: Method, input: unknown): boolean {
    this.notified.push([method.name, input])
    return true
  }

  publish(topic: Method, data: unknown, options?: { key?: string }): boolean {
    this.published.push([topic.name, data, options])
    this.events.push(data)
    return true
  }

  subscribe(): Subscription {
    return this.#subscription(this.events)
  }

  subscribeAll(pattern: string): Subscription<TopicEvent> {
    this.patterns.push(pattern)
    return this.#subscription(this.published.map(([topic, data]) => ({ topic, data })))
  }

  #subscription<Event>(list: readonly Event[]): Subscription<Event> {
    const events = list[Symbol.iterator]()
    return {
      ready: Promise.resolve(),
      lastEventId: undefined,
      last: undefined,
      dropped: 7n,
      cancel: () => undefined,
      [Symbol.asyncIterator]: () => ({ next: async () => events.next() }),
    }
  }

  #start(method: Method, input: unknown, options: CallOptions | undefined): unknown {
    const handler = this.handlers.get(method.name)
    if (handler === undefined) throw new ViaductError('UNIMPLEMENTED', method.name)
    const { progress, signals, delivery } = this
    const context: CallContext = {
      delivery,
      get signal() {
        const { signal } = new AbortController()
        signals.push(signal)
        return signal
      },
      peer: { id: 'renderer-1', type: 'renderer', zone: 'trusted', session: '0'.repeat(32) },
      timeLeftMs: 5000,
      deadline: 6000,
      upload: options?.upload ?? none(),
      progress: (value) => progress.push(value),
    }
    return handler(input, context)
  }
}

export async function* from<T>(...items: T[]): AsyncGenerator<T, void> {
  yield* items
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** What a promise rejects with, or an error of its own when it does not. */
export async function failure(run: () => unknown): Promise<unknown> {
  try {
    await run()
  } catch (error) {
    return error
  }
  return new Error('it did not fail')
}

async function* none(): AsyncGenerator<never, void> {}

function iteratorOf(value: unknown): AsyncIterator<unknown, unknown> {
  if (typeof value === 'object' && value !== null && Symbol.asyncIterator in value) {
    const open: unknown = value[Symbol.asyncIterator]
    if (typeof open === 'function') return Reflect.apply(open, value, [])
  }
  throw new TypeError('no async iterable')
}

function deferred() {
  let resolve: (value: unknown) => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  const promise = new Promise<unknown>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
