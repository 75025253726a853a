import { ContextView } from '../core/contextView.ts'
import { type IncomingCall, isItems, type Next, type Reply } from '../core/interceptor.ts'
import { Envelope } from '../wire/envelope.ts'
import { hex } from '../wire/hex.ts'
import { accept, isAgreement } from './agreement.ts'
import type { CodecParts } from './codecs.ts'
import { contentOf } from './content.ts'
import { fault } from './faults.ts'
import { MappedItems, NO_ITEMS, untilLast } from './mapped.ts'
import { type Exchange, isProtected, type Part, sessionIn } from './session.ts'
import type { Values } from './values.ts'

/** The callee's side: opens what comes, and closes what its handler gives. */
export async function answering(parts: CodecParts, next: Next, call: IncomingCall): Promise<Reply> {
  const { method, input, context } = call
  const { agreement, sessions, values } = parts
  if (!method.codecs?.sealed && !method.codecs?.signed)
    return new CompressedAnswer(values, next, call).reply()
  const what = `${method.name}: input`
  if (!agreement) throw fault('UNPROTECTED', what, 'not-sent')
  if (isAgreement(input)) {
    const { session, answer } = await accept(agreement, method, context.peer.id, input)
    if (!sessions.add(hex(session.farSession), session)) throw fault('REPLAYED', what)
    return method.kind === 'stream' ? { items: NO_ITEMS, done: Promise.resolve(answer) } : { value: answer }
  }
  if (!isProtected(input, method)) throw fault('UNPROTECTED', what, 'not-sent')
  const session = sessions.get(hex(sessionIn(input)), context.peer.id, what)
  const opened = await session.open(method, ['input'], input)
  if (!session.replay.take(opened.sequence)) throw fault('REPLAYED', what)
  const exchange = { session, method, sequence: opened.sequence }
  const answer = new ProtectedAnswer(values, exchange, next, call)
  return answer.reply(() => values.value(method, 'input', opened, input))
}

/** An answer in parts, in the order in which they were said. */
abstract class Answer {
  readonly #call: IncomingCall
  readonly #next: Next
  #progressed = 0
  /** Settles when the progress that was told is on its way. */
  #told: Promise<unknown> = Promise.resolve()

  constructor(next: Next, call: IncomingCall) {
    this.#next = next
    this.#call = call
  }

  protected abstract close(part: Part, index: number, value: unknown): Promise<unknown>
  protected abstract closeProgress(index: number, value: unknown): () => Promise<unknown>
  protected abstract upload(upload: AsyncIterable<unknown>): AsyncIterable<unknown>
  /** What is thrown for what the handler threw. */
  protected abstract failed(error: unknown, items: number): Promise<unknown>

  async reply(read: () => Promise<unknown>): Promise<Reply> {
    const { method, context } = this.#call
    let reply: Reply
    try {
      const input = await read()
      const upload = method.upload ? { upload: this.upload(context.upload) } : {}
      const progress = (value: unknown): void => this.#progress(value)
      reply = await this.#next({
        ...this.#call,
        input,
        context: new ContextView(context, { ...upload, progress }),
      })
      if (!isItems(reply)) return { value: await this.#said('output', 0, reply.value) }
    } catch (error) {
      throw await this.#failed(error, 0)
    }
    const items = new MappedItems(reply.items, {
      item: (value, index) => this.#said('item', index, value),
      error: (error, count) => this.#failed(error, count),
    })
    const done = reply.done.then(
      (output) => this.#said('output', items.count, output),
      async (error) => {
        throw await this.#failed(error, items.count)
      },
    )
    // Who leaves early does not look at it.
    done.then(undefined, () => {})
    return { items, done }
  }

  async #said(part: Part, index: number, value: unknown): Promise<unknown> {
    await this.#told
    return this.close(part, index, value)
  }

  async #failed(error: unknown, items: number): Promise<unknown> {
    await this.#told
    return this.failed(error, items)
  }

  #progress(value: unknown): void {
    const close = this.closeProgress(this.#progressed++, value)
    // Advice: what cannot be told is left out.
    this.#told = this.#told
      .then(async () => this.#call.context.progress(await close()))
      .then(undefined, () => {})
  }
}

class ProtectedAnswer extends Answer {
  readonly #values: Values
  readonly #exchange: Exchange

  constructor(values: Values, exchange: Exchange, next: Next, call: IncomingCall) {
    super(next, call)
    this.#values = values
    this.#exchange = exchange
  }

  protected override close(part: Part, index: number, value: unknown): Promise<unknown> {
    return this.#values.close(this.#exchange, part, index, value, true)
  }

  protected override closeProgress(index: number, value: unknown): () => Promise<unknown> {
    const content = contentOf(value, this.#exchange.method, 'progress', true)
    return () => this.#values.closeContent(this.#exchange, 'progress', index, content)
  }

  protected override upload(upload: AsyncIterable<unknown>): AsyncIterable<unknown> {
    const open = async (given: unknown) => {
      const { part, index, value } = await this.#values.open(this.#exchange, ['upload', 'uploadEnd'], given)
      return { isLast: part === 'uploadEnd', index, value }
    }
    return untilLast(upload, open, () => fault('CUT_SHORT', `${this.#exchange.method.name}: upload`))
  }

  protected override failed(error: unknown, items: number): Promise<unknown> {
    return this.#values.closeError(this.#exchange, items, error)
  }
}

/** Only who sends envelopes is answered with them: others may not know how to open one. */
class CompressedAnswer extends Answer {
  readonly #values: Values
  readonly #call: IncomingCall
  readonly #asked: boolean

  constructor(values: Values, next: Next, call: IncomingCall) {
    super(next, call)
    this.#values = values
    this.#call = call
    this.#asked = call.input instanceof Envelope
  }

  override reply(): Promise<Reply> {
    return super.reply(() => this.#values.inflated(this.#call.method, 'input', this.#call.input))
  }

  protected override async close(part: Part, _index: number, value: unknown): Promise<unknown> {
    if (!this.#asked) return value
    return (await this.#values.compressed(this.#call.method, part, value, true)) ?? value
  }

  protected override closeProgress(_index: number, value: unknown): () => Promise<unknown> {
    return () => this.close('progress', 0, value)
  }

  protected override upload(upload: AsyncIterable<unknown>): AsyncIterable<unknown> {
    return new MappedItems(upload, {
      item: (given) => this.#values.inflated(this.#call.method, 'upload', given),
    })
  }

  protected override failed(error: unknown): Promise<unknown> {
    return Promise.resolve(error)
  }
}
