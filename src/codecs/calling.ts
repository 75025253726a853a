import type { CallOptions } from '../core/call.ts'
import { type ItemsReply, isItems, type Next, type OutgoingCall, type Reply } from '../core/interceptor.ts'
import { Envelope } from '../wire/envelope.ts'
import { propose } from './agreement.ts'
import { timeLeft, within } from './callTime.ts'
import type { CodecParts } from './codecs.ts'
import { contentOf } from './content.ts'
import { fault, isRefused, isStale, unprotectedError } from './faults.ts'
import { MappedItems, NO_ITEMS } from './mapped.ts'
import { type OpenedStream, StreamItems } from './openedStream.ts'
import type { Exchange, Session } from './session.ts'

/** A call that is under way. */
interface Begun {
  readonly exchange: Exchange
  readonly reply: Reply
  /** Settles when the progress that has come was told. */
  readonly told: () => Promise<unknown>
}

/** The caller's side, of one client: closes what is sent, and opens what comes back. */
export class Calling {
  readonly #parts: CodecParts
  readonly #next: Next
  /** What was agreed upon with the one peer that this client calls. */
  #session: Session | undefined
  #agreeing: Promise<Session> | undefined

  constructor(parts: CodecParts, next: Next) {
    this.#parts = parts
    this.#next = next
  }

  call(call: OutgoingCall): Reply | Promise<Reply> {
    const { method, oneWay } = call
    if (!method.codecs?.sealed && !method.codecs?.signed) return this.#compressed(call)
    if (oneWay) return this.#begin(call).then(({ reply }) => reply)
    return method.kind === 'stream' ? this.#stream(call) : this.#answered(call)
  }

  async #compressed(call: OutgoingCall): Promise<Reply> {
    const { values } = this.#parts
    const { method, options, input } = call
    const envelope = await values.compressed(method, 'input', input, false)
    const { upload, onProgress } = options
    const progress = inOrder((given) => values.inflated(method, 'progress', given), onProgress)
    const reply = await this.#next({
      ...call,
      // Also what does not pay: it says that the answer may come so.
      input: envelope ?? new Envelope(0, contentOf(input, method, 'input', false)),
      options: {
        ...options,
        ...(onProgress ? { onProgress: progress.tell } : {}),
        ...(upload
          ? {
              upload: new MappedItems(upload, {
                item: async (item) => (await values.compressed(method, 'upload', item, false)) ?? item,
              }),
            }
          : {}),
      },
    })
    const opened = async (part: 'item' | 'output', given: unknown): Promise<unknown> => {
      await progress.told()
      return values.inflated(method, part, given)
    }
    if (call.oneWay) return reply
    if (!isItems(reply)) return { value: await opened('output', reply.value) }
    const done = reply.done.then((output) => opened('output', output))
    done.then(undefined, () => {})
    return { items: new MappedItems(reply.items, { item: (given) => opened('item', given) }), done }
  }

  /** Sends a call under the present session, or a new one. */
  async #begin(call: OutgoingCall): Promise<Begun> {
    const { values, clock } = this.#parts
    const { method, input } = call
    const content = contentOf(input, method, 'input', false)
    const began = clock.now()
    const session = await this.#agreed(call)
    const exchange = session.begin(method)
    const progress = inOrder(this.#progressOf(exchange), call.options.onProgress)
    const options = { ...timeLeft(call, clock.now() - began), ...this.#ways(call, exchange, progress.tell) }
    const envelope = await values.closeContent(exchange, 'input', 0, content)
    try {
      const reply = await this.#next({ ...call, input: envelope, options })
      return { exchange, reply, told: progress.told }
    } catch (error) {
      await progress.told()
      throw this.#stale(exchange, await values.openError(exchange, error))
    }
  }

  /** The options through which more than the input and the answer pass. */
  #ways(call: OutgoingCall, exchange: Exchange, onProgress: (given: unknown) => void): CallOptions {
    const { values } = this.#parts
    const { method, options } = call
    const upload = method.upload && !call.oneWay ? (options.upload ?? NO_ITEMS) : undefined
    return {
      ...(options.onProgress ? { onProgress } : {}),
      ...(upload
        ? {
            upload: new MappedItems(upload, {
              item: (item, index) => values.close(exchange, 'upload', index, item, false),
              last: (count) => values.close(exchange, 'uploadEnd', count, undefined, false),
            }),
          }
        : {}),
    }
  }

  /** What is said twice, or late, is passed over. */
  #progressOf(exchange: Exchange): (given: unknown) => Promise<unknown> {
    let next = 0
    return async (given) => {
      const { index, value } = await this.#parts.values.open(exchange, ['progress'], given)
      if (index < next) throw fault('REPLAYED', `${exchange.method.name}: progress`)
      next = index + 1
      return value
    }
  }

  async #answered(call: OutgoingCall): Promise<Reply> {
    const { exchange, reply, told } = await this.#begin(call).catch((error) => {
      if (mayRepeat(call, error)) return this.#begin(call)
      throw error
    })
    await told()
    if (isItems(reply)) return reply
    const { value } = await this.#parts.values.open(exchange, ['output'], reply.value)
    return { value }
  }

  #stream(call: OutgoingCall): ItemsReply {
    const first = this.#begin(call).then((begun) => this.#opened(begun))
    let second: Promise<OpenedStream> | undefined
    const again = (error: unknown): Promise<OpenedStream> => {
      if (!mayRepeat(call, error)) throw error
      second ??= this.#begin(call).then((begun) => this.#opened(begun))
      return second
    }
    const done = first.then(({ output }) =>
      output.catch((error) => again(error).then((renewed) => renewed.output)),
    )
    done.then(undefined, () => {})
    return { items: new StreamItems(first, again), done: done.then(({ value }) => value) }
  }

  #opened({ exchange, reply, told }: Begun): OpenedStream {
    const { values } = this.#parts
    const { method } = exchange
    if (!isItems(reply)) throw fault('UNPROTECTED', `${method.name}: output`)
    const output = reply.done.then(
      async (given) => {
        await told()
        return values.open(exchange, ['output'], given)
      },
      async (error) => {
        throw this.#stale(exchange, await values.openError(exchange, error))
      },
    )
    output.then(undefined, () => {})
    const items = new MappedItems(reply.items, {
      item: async (given, count) => {
        await told()
        const { index, value } = await values.open(exchange, ['item'], given)
        if (index !== count) throw fault('TAMPERED', `${method.name}: item ${count}`)
        return value
      },
      error: async (error, count) => this.#stale(exchange, await values.openError(exchange, error, count)),
    })
    return { items, output, cutShort: () => fault('CUT_SHORT', `${method.name}: items`) }
  }

  /** The same error; a session that it ends is used no more. */
  #stale({ session }: Exchange, error: unknown): unknown {
    if ((isStale(error) || isRefused(error)) && this.#session === session) this.#session = undefined
    return error
  }

  /** The present session, or one that is agreed upon now, as far as the call's time goes. */
  #agreed(call: OutgoingCall): Promise<Session> {
    const { clock } = this.#parts
    const session = this.#session
    if (session && session.expires > clock.now()) return Promise.resolve(session)
    this.#agreeing ??= this.#agree(call).finally(() => {
      this.#agreeing = undefined
    })
    return within(clock, call, this.#agreeing)
  }

  async #agree({ method, target }: OutgoingCall): Promise<Session> {
    const { agreement } = this.#parts
    if (!agreement) throw fault('UNPROTECTED', method.name, 'not-sent')
    const to = target && 'id' in target ? target.id : ''
    this.#session = await propose(agreement, method, to, async (hello) => {
      try {
        const reply = await this.#next({
          side: 'caller',
          method,
          input: hello,
          oneWay: false,
          options: {},
          target,
        })
        return isItems(reply) ? await reply.done : reply.value
      } catch (error) {
        throw unprotectedError(error)
      }
    })
    return this.#session
  }
}

/** Its handler did not run, and would under a new session; of an upload something is gone already. */
function mayRepeat(call: OutgoingCall, error: unknown): boolean {
  return isStale(error) && call.options.upload === undefined
}

/** What a listener is told, one after the other. */
function inOrder(
  open: (given: unknown) => Promise<unknown>,
  listener: ((value: unknown) => void) | undefined,
): { tell(given: unknown): void; told(): Promise<unknown> } {
  let told: Promise<unknown> = Promise.resolve()
  return {
    // Advice: what cannot be opened, or a listener that throws, ends no call.
    tell: (given) => {
      told = told.then(async () => listener?.(await open(given))).then(undefined, () => {})
    },
    told: () => told,
  }
}
