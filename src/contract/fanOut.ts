import type { Caller, CallOptions, Target } from '../core/call.ts'
import { type Method, untyped } from '../core/method.ts'
import { named } from '../core/named.ts'
import { BodyEncoder } from '../wire/body.ts'
import { isViaductError, ViaductError } from '../wire/errors.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import { isObject } from '../wire/guards.ts'
import { linkError } from '../wire/linkError.ts'
import { checkOne } from './codecs.ts'

/** Whom a broadcast or a call to all is for. What is left out does not narrow it. */
export interface PeerFilter {
  readonly type?: string | readonly string[]
  /** These alone; whoever of them is not there is left out. */
  readonly ids?: readonly string[]
  readonly exclude?: readonly string[]
}

/** Who was asked, as the hub says. */
export interface PeerIdentity {
  readonly id: string
  readonly type: string
  readonly session: string
  /** For those who may ask `$hub.who`. */
  readonly pid?: number
}

/** A filter that the hub applies, or a test of each peer that may be called, applied here. */
export type PeerSelection = PeerFilter | ((peer: PeerIdentity) => boolean)

/** What one peer answered to a call that went to several. */
export type Answer<Output> =
  | { readonly peer: PeerIdentity; readonly ok: true; readonly value: Output }
  | { readonly peer: PeerIdentity; readonly ok: false; readonly error: ViaductError }

export interface CallAllOptions<Output = unknown> extends Omit<CallOptions, 'upload' | 'onProgress'> {
  /** Calls that are open at once; default 64. The time of each begins with it. */
  readonly concurrency?: number
  /** Told each answer as it settles. */
  readonly onAnswer?: (answer: Answer<Output>) => void
}

export interface BroadcastOptions {
  /** Milliseconds for the hub to say who is there; default CALL_TIMEOUT_MS. */
  readonly timeoutMs?: number
  /** Ends it: whom it was not sent to by then is refused. */
  readonly signal?: AbortSignal
}

/** What became of a broadcast; both lists may be empty. */
export interface BroadcastResult {
  /** Handed to the hub for these. */
  readonly sent: readonly PeerIdentity[]
  readonly refused: readonly { readonly peer: PeerIdentity; readonly error: ViaductError }[]
}

/** A call of a contract, or a method by its name. */
export type Called = Method & {
  readonly kind: 'call'
  readonly '~client'?: (input: never, options: never) => unknown
  readonly '~durable'?: never
}
export type CalledInput<M extends Called> = Parameters<NonNullable<M['~client']>>[0]
export type CalledOutput<M extends Called> = Awaited<ReturnType<NonNullable<M['~client']>>>

/** What a fan-out needs of a peer. */
export interface FanOutPeer {
  readonly isConnected: boolean
  to(target?: Target): Caller
  drained(): Promise<void>
}

const ROUTE = untyped('$hub.route')
const CONCURRENCY = 64
/** Names that the question to the hub may carry; with more the filter is applied here. */
const MAX_NAMES = 100

/**
 * Calls a method on every peer that serves it and passes the filter, but this one. Each answer settles by itself, in
 * the order in which the hub named the peers; one that fails or dies is an answer too. Nobody there: no answers.
 *
 * @throws ViaductError INVALID_ARGUMENT / UNSENDABLE for what cannot be sent, functions too; PERMISSION_DENIED when the method may be called on none of them; what the hub answers
 * when it cannot be asked.
 */
export async function callAll(
  from: FanOutPeer,
  method: Method,
  input: unknown,
  filter: PeerSelection,
  { concurrency = CONCURRENCY, onAnswer, ...options }: CallAllOptions,
): Promise<Answer<unknown>[]> {
  refuseUnsendable(method, input)
  const { peers, denied } = await whom(from, method, filter, options)
  const answers = denied.map((peer): Answer<unknown> => ({ peer, ok: false, error: denial(method, peer.id) }))
  for (const answer of answers) onAnswer?.(answer)
  const first = answers.length
  let next = 0
  const work = async (): Promise<void> => {
    for (let at = next++; at < peers.length; at = next++) {
      const peer = peers[at]
      if (!peer) return
      const answer = await one(from, method, input, peer, options)
      answers[first + at] = answer
      onAnswer?.(answer)
    }
  }
  await Promise.all(Array.from({ length: Math.min(Math.max(1, concurrency), peers.length) }, work))
  return answers
}

/** A function belongs to one exchange: it is called back by one peer. */
function refuseUnsendable(method: Method, input: unknown): void {
  try {
    new BodyEncoder().encode(input)
  } catch (error) {
    throw named(error, method, 'input')
  }
}

async function one(
  from: FanOutPeer,
  method: Method,
  input: unknown,
  peer: PeerIdentity,
  options: CallOptions,
): Promise<Answer<unknown>> {
  try {
    return { peer, ok: true, value: await from.to({ id: peer.id }).call(method, input, options) }
  } catch (error) {
    return { peer, ok: false, error: asError(error) }
  }
}

/**
 * Sends one way to every peer that serves the method and passes the filter, but this one. Waits while the outbox is
 * full. Nobody answers: whether a handler ran, nobody hears.
 *
 * @throws ViaductError as {@link callAll}; INVALID_ARGUMENT / UNSENDABLE, RESOURCE_EXHAUSTED / MESSAGE_TOO_LARGE
 */
export async function broadcast(
  from: FanOutPeer,
  method: Method,
  input: unknown,
  filter: PeerSelection,
  options: BroadcastOptions,
): Promise<BroadcastResult> {
  const { peers, denied } = await whom(from, method, filter, options)
  const sent: PeerIdentity[] = []
  const refused = denied.map((peer) => ({ peer, error: denial(method, peer.id) }))
  for (const peer of peers) {
    const caller = from.to({ id: peer.id })
    let taken = !options.signal?.aborted && caller.notify(method, input)
    if (!taken && !options.signal?.aborted && from.isConnected) {
      await from.drained()
      taken = !options.signal?.aborted && caller.notify(method, input)
    }
    if (taken) {
      sent.push(peer)
      continue
    }
    const reason = options.signal?.aborted ? 'CANCELLED' : from.isConnected ? 'QUEUE_FULL' : 'LINK_LOST'
    refused.push({ peer, error: linkError(reason, `${method.name} on ${peer.id}`, 'not-sent') })
  }
  return { sent, refused }
}

interface Found {
  readonly peers: PeerIdentity[]
  /** Named by the filter, or known to who may see all; the method may not be called there. */
  readonly denied: PeerIdentity[]
}

async function whom(
  from: FanOutPeer,
  method: Method,
  selection: PeerSelection,
  options: Pick<CallOptions, 'timeoutMs' | 'signal'>,
): Promise<Found> {
  checkOne(method)
  const { asked, test } = questionOf(selection)
  const { timeoutMs, signal } = options
  const question = { target: { filter: asked }, methods: [method.name] }
  const answer = await from.to().call(ROUTE, question, {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(signal === undefined ? {} : { signal }),
  })
  const peers = rowsOf(answer, 'peers')
  const denied = rowsOf(answer, 'denied')
  if (peers.length === 0 && denied.length === 0 && isDenied(answer)) throw denial(method, 'any of them')
  return { peers: peers.filter(test), denied: denied.filter(test) }
}

function questionOf(selection: PeerSelection): {
  asked: PeerFilter
  test: (peer: PeerIdentity) => boolean
} {
  if (typeof selection === 'function') return { asked: {}, test: selection }
  const { type, ids, exclude } = selection
  const types = type === undefined ? {} : { type }
  if ((ids?.length ?? 0) + (exclude?.length ?? 0) <= MAX_NAMES) {
    return {
      asked: { ...types, ...(ids ? { ids } : {}), ...(exclude ? { exclude } : {}) },
      test: () => true,
    }
  }
  const [wanted, unwanted] = [ids && new Set(ids), new Set(exclude)]
  return { asked: types, test: ({ id }) => (wanted?.has(id) ?? true) && !unwanted.has(id) }
}

function rowsOf(answer: unknown, key: 'peers' | 'denied'): PeerIdentity[] {
  const rows = fieldOf(answer, key)
  return Array.isArray(rows) ? rows.filter(isIdentity) : []
}

function isIdentity(row: unknown): row is PeerIdentity {
  return isObject(row) && ['id', 'type', 'session'].every((key) => typeof Reflect.get(row, key) === 'string')
}

function isDenied(answer: unknown): boolean {
  if (!isObject(answer) || !('methods' in answer)) return false
  const [first]: unknown[] = Array.isArray(answer.methods) ? answer.methods : []
  return isObject(first) && 'status' in first && first.status === 'PERMISSION_DENIED'
}

function denial(method: Method, target: string): ViaductError {
  return linkError('PERMISSION_DENIED', `${method.name} on ${target}`, 'not-sent')
}

function asError(error: unknown): ViaductError {
  return isViaductError(error) ? error : new ViaductError('INTERNAL', String(error), { cause: error })
}
