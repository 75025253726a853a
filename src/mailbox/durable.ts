/** Durable methods of contracts over mailboxes: what a client and a server are given as `durable`. */
import { type Client, client } from '../contract/client.ts'
import type { DurableOptions, DurableSender, Receipt } from '../contract/durable.ts'
import type { ContractOf } from '../contract/entries.ts'
import { type Handlers, type ServeOptions, serve } from '../contract/serve.ts'
import type { CallContext, Handler, PeerInfo, Server, Serving, Target } from '../core/call.ts'
import type { Method } from '../core/method.ts'
import { named } from '../core/named.ts'
import { serving } from '../core/serving.ts'
import { isViaductError, ViaductError } from '../wire/errors.ts'
import { MAX_DEPTH, TRUSTED_MAX_KEYS } from '../wire/limits.ts'
import { pack, unpack } from '../wire/packed.ts'
import { Mailbox } from './mailbox.ts'
import type { MailMessage } from './message.ts'
import { NoLink } from './noLink.ts'
import type { Delivery, MailboxOptions, ReceiveOptions, WaitForAckOptions } from './options.ts'
import type { Receiver } from './receiver.ts'

export interface MailboxesOptions extends Omit<MailboxOptions, 'group' | 'store'> {
  /**
   * The mailbox that this process serves durable methods from: the type or id that clients have as their target. Who
   * only calls leaves it out. Of several processes one receives; the others take over when it dies.
   */
  readonly group?: string
  /** How what is served here is received. */
  readonly receive?: ReceiveOptions
}

/**
 * The mailboxes below one folder, for `client(…, { durable })` and `serve(…, { durable })`: one for each target.
 *
 * @throws ViaductError those of `Mailbox.open`, of the process's own mailbox
 */
export async function mailboxes(options: MailboxesOptions): Promise<Mailboxes> {
  const { group, receive, ...each } = options
  const open = (name: string): Promise<Mailbox> => Mailbox.open({ ...each, group: name })
  return new Mailboxes(open, group === undefined ? undefined : await open(group), receive)
}

const NAME = /^[a-z0-9_-]{1,64}$/
const BOUNDS = { maxDepth: MAX_DEPTH, maxKeys: TRUSTED_MAX_KEYS }
/** What came through a file has no link that could say who sent it. */
const UNATTESTED: PeerInfo = { id: '', type: '', zone: 'mailbox', session: '' }

interface Served {
  readonly handler: Handler
  readonly stop: AbortController
  readonly running: Set<Promise<unknown>>
}

export class Mailboxes implements DurableSender, Server {
  readonly #open: (group: string) => Promise<Mailbox>
  readonly #own: Mailbox | undefined
  readonly #receive: ReceiveOptions | undefined
  readonly #opened = new Map<string, Promise<Mailbox>>()
  readonly #sentTo = new WeakMap<Receipt, Mailbox>()
  readonly #served = new Map<string, Served>()
  #receiving: Promise<Receiver> | undefined
  #ended: Promise<void> = Promise.resolve()

  constructor(
    open: (group: string) => Promise<Mailbox>,
    own: Mailbox | undefined,
    receive: ReceiveOptions | undefined,
  ) {
    this.#open = open
    this.#own = own
    this.#receive = receive
    if (own) this.#opened.set(own.group, Promise.resolve(own))
  }

  /** A contract's durable methods as functions, for programs that have no link: no hub need run. */
  client<E>(contract: ContractOf<E>, target: Target): Client<E> {
    return client(new NoLink(target), contract, { durable: this })
  }

  /** Serves a contract's durable methods without a link, until they are withdrawn. */
  serve<E>(
    contract: ContractOf<E>,
    handlers: Partial<Handlers<E>>,
    options: Omit<ServeOptions, 'partial' | 'durable'> = {},
  ): Serving {
    return serve(new NoLink(), contract, handlers, { ...options, partial: true, durable: this })
  }

  /**
   * @throws ViaductError INVALID_ARGUMENT / UNSENDABLE with the path, functions too · BAD_ID for a target that names no
   * mailbox · those of `Mailbox.open` and `send`
   */
  async send(
    method: Method,
    input: unknown,
    options: DurableOptions,
    target: Target | undefined,
  ): Promise<Receipt> {
    const group = groupOf(method, target)
    const body = packed(method, input)
    const mailbox = await this.#mailbox(group)
    const receipt = { id: await mailbox.sendBody(method.name, body, options) }
    this.#sentTo.set(receipt, mailbox)
    return receipt
  }

  /**
   * Resolves when the call behind a receipt was handled. It was made here, with `requiresAck`.
   *
   * @throws ViaductError DEADLINE_EXCEEDED / ACK_TIMEOUT: not yet, or never, as it is a dead letter · CANCELLED ·
   * NOT_FOUND of another receipt
   */
  async handled(receipt: Receipt, options?: WaitForAckOptions): Promise<void> {
    const mailbox = this.#sentTo.get(receipt)
    if (mailbox) return mailbox.waitForAck(receipt.id, options)
    throw new ViaductError('NOT_FOUND', `${receipt.id}: this receipt is not of a call that was made here`)
  }

  /**
   * Serves a method from the process's own mailbox until it is withdrawn. Receiving begins when the code that serves
   * has run to its first pause, so that all contracts of a program stand by then.
   *
   * @throws ViaductError FAILED_PRECONDITION / MAILBOXES_MISSING without a `group` · ALREADY_EXISTS
   */
  handle(method: Method, handler: Handler): Serving {
    const { name } = method
    if (!this.#own) {
      throw new ViaductError(
        'FAILED_PRECONDITION',
        `${name}: these mailboxes have none of this process: give mailboxes({ root, group }) the type or id that its ` +
          'clients have as their target',
        { reason: 'MAILBOXES_MISSING', path: name },
      )
    }
    if (this.#served.has(name)) throw new ViaductError('ALREADY_EXISTS', `${name} is served here already`)
    const served: Served = { handler, stop: new AbortController(), running: new Set() }
    this.#served.set(name, served)
    this.#receiving ??= this.#begin(this.#own)
    return serving(async (graceMs) => {
      if (this.#served.get(name) === served) this.#served.delete(name)
      await Promise.all([drained(served, graceMs), this.#served.size === 0 ? this.#end() : undefined])
    })
  }

  /** Withdraws all, and closes all mailboxes that were opened. */
  async close(): Promise<void> {
    this.#served.clear()
    await this.#end()
    await Promise.all([...this.#opened.values()].map(async (mailbox) => (await mailbox).close()))
  }

  async #begin(own: Mailbox): Promise<Receiver> {
    await Promise.all([this.#ended, new Promise((resolve) => setImmediate(resolve))])
    return own.receive((message, delivery) => this.#handle(own, message, delivery), this.#receive)
  }

  #end(): Promise<void> {
    const receiving = this.#receiving
    this.#receiving = undefined
    // That receiving could not begin was told already: nobody has handled that rejection.
    if (receiving) this.#ended = receiving.then((receiver) => receiver.stop()).catch(() => {})
    return this.#ended
  }

  #mailbox(group: string): Promise<Mailbox> {
    let opening = this.#opened.get(group)
    if (!opening) {
      opening = this.#open(group)
      this.#opened.set(group, opening)
      // The next call tries again.
      opening.catch(() => this.#opened.delete(group))
    }
    return opening
  }

  async #handle(own: Mailbox, message: MailMessage, delivery: Delivery): Promise<void> {
    const served = this.#served.get(message.type)
    if (!served) {
      throw new ViaductError(
        'UNIMPLEMENTED',
        `${message.type}: nothing serves it from mailbox ${own.group}`,
        {
          reason: 'METHOD_NOT_FOUND',
        },
      )
    }
    const running = run(served, message, delivery)
    served.running.add(running)
    try {
      await running
    } finally {
      served.running.delete(running)
    }
  }
}

async function run({ handler, stop }: Served, message: MailMessage, delivery: Delivery): Promise<void> {
  try {
    await handler(inputOf(message, delivery), new DurableContext(message, delivery, stop.signal))
  } catch (error) {
    // What was refused for what it is, is refused the next time too.
    if (isViaductError(error) && error.code === 'INVALID_ARGUMENT' && error.fate === 'not-sent') {
      throw Object.assign(error, { recoverable: false })
    }
    throw error
  }
}

/** Programs without this package may send JSON to the same mailbox. */
function inputOf({ type, payload }: MailMessage, { format }: Delivery): unknown {
  if (format === 'json' || !(payload instanceof Uint8Array)) return payload
  try {
    return unpack(payload, BOUNDS)
  } catch (error) {
    throw isViaductError(error)
      ? new ViaductError(error.code, `${type}: input: ${error.message}`, {
          reason: error.reason,
          path: 'input',
          fate: 'not-sent',
        })
      : error
  }
}

/** Settles when nothing of it runs; aborts what does after so long. */
async function drained({ running, stop }: Served, graceMs: number): Promise<void> {
  const late = Number.isFinite(graceMs) ? setTimeout(() => stop.abort(withdrawn()), graceMs) : undefined
  await Promise.allSettled(running)
  clearTimeout(late)
}

function withdrawn(): ViaductError {
  return new ViaductError('UNAVAILABLE', 'the method was withdrawn while the call ran', {
    reason: 'WITHDRAWN',
  })
}

class DurableContext implements CallContext {
  readonly peer = UNATTESTED
  readonly timeLeftMs = Number.POSITIVE_INFINITY
  readonly deadline = Number.POSITIVE_INFINITY
  readonly idempotencyKey: string
  readonly delivery: NonNullable<CallContext['delivery']>
  readonly #attempt: Delivery
  readonly #stopped: AbortSignal
  #signal: AbortSignal | undefined

  constructor({ id, sender = '' }: MailMessage, attempt: Delivery, stopped: AbortSignal) {
    this.idempotencyKey = id
    this.delivery = { id, attempt: attempt.attempt, sender, extend: attempt.extend }
    this.#attempt = attempt
    this.#stopped = stopped
  }
  get signal(): AbortSignal {
    this.#signal ??= AbortSignal.any([this.#attempt.signal, this.#stopped])
    return this.#signal
  }
  get upload(): AsyncIterable<never> {
    return nothing()
  }
  progress(): void {}
}

async function* nothing(): AsyncGenerator<never, void> {}

function groupOf({ name }: Method, target: Target | undefined): string {
  const group = target && ('id' in target ? target.id : 'type' in target ? target.type : undefined)
  if (group !== undefined && NAME.test(group)) return group
  throw new ViaductError(
    'INVALID_ARGUMENT',
    `${name}: a mailbox is named as the client's target, its id or type, of ${NAME.source}; ` +
      (group === undefined ? 'this one names nobody' : `not ${JSON.stringify(group).slice(0, 100)}`),
    { reason: 'BAD_ID', path: 'target', fate: 'not-sent' },
  )
}

function packed(method: Method, input: unknown): Uint8Array {
  try {
    return pack(input)
  } catch (error) {
    throw named(error, method, 'input')
  }
}
