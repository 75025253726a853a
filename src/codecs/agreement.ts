import type { Method } from '../core/method.ts'
import { BodyEncoder, decodeBody } from '../wire/body.ts'
import { CODEC, Envelope } from '../wire/envelope.ts'
import { concat, fields } from './bytes.ts'
import { fault } from './faults.ts'
import { KEY_BYTES, type Keys, type PublicKey } from './keyring.ts'
import { type Direction, SESSION_BYTES, Session } from './session.ts'

/** Longest agreement that is read. */
const HELLO_BYTES = 1024
const HELLO_BOUNDS = { maxDepth: 2, maxKeys: 16 }
const MAX_ID = 64

/** What either end says to agree on a session: who it is, a session and an X25519 key of its own, and its signature. */
interface Hello {
  readonly id: string
  /** Whom it is for; '' where the caller does not know who answers. */
  readonly to: string
  readonly session: Uint8Array
  readonly key: Uint8Array
  readonly signature: Uint8Array
}

export interface AgreementOptions {
  readonly keys: Keys
  readonly now: () => number
  readonly sessionMs: number
  readonly rekeyMessages: number
}

/** What both sign: the caller without what it does not know yet. */
function said(caller: Omit<Hello, 'signature'>, callee?: Omit<Hello, 'signature'>): Uint8Array {
  const call = ['viaduct 1 call', caller.id, caller.to, caller.session, caller.key] as const
  if (!callee) return fields(...call)
  return fields('viaduct 1 answer', ...call, callee.id, callee.session, callee.key)
}

/** The caller's side: says hello, and makes the session of what the callee answers. */
export async function propose(
  { keys, now, sessionMs, rekeyMessages }: AgreementOptions,
  method: Method,
  to: string,
  ask: (hello: Envelope) => Promise<unknown>,
): Promise<Session> {
  const { crypto } = keys.primitives
  const identity = await keys.identity()
  const pair = await crypto.agreementPair()
  const bare = { id: keys.id, to, session: crypto.random(SESSION_BYTES), key: pair.publicKey }
  const signature = await identity.pair.sign(said(bare))
  const answer = readHello(await ask(helloOf({ ...bare, signature })))
  const what = `${method.name}: agreement`
  if (!answer) throw fault('UNPROTECTED', what, 'not-sent')
  if (answer.to !== keys.id || (to !== '' && answer.id !== to)) throw fault('TAMPERED', what, 'not-sent')
  const transcript = said(bare, answer)
  const key = await verified(keys, answer, transcript, method, now())
  const secret = await pair.agree(answer.key)
  if (!secret) throw fault('TAMPERED', what, 'not-sent')
  const near = { id: bare.id, session: bare.session, identity }
  const far = { id: answer.id, session: answer.session, key }
  const direction: Direction = 'call'
  const expires = now() + sessionMs
  return new Session({ crypto, near, far, direction, secret, transcript, expires, rekeyMessages })
}

/** The callee's side. @param from the caller's id as the hub says it; '' where nobody does. */
export async function accept(
  { keys, now, sessionMs, rekeyMessages }: AgreementOptions,
  method: Method,
  from: string,
  given: Envelope,
): Promise<{ readonly session: Session; readonly answer: Envelope }> {
  const what = `${method.name}: agreement`
  const { crypto } = keys.primitives
  const hello = readHello(given)
  if (!hello || (from !== '' && hello.id !== from) || (hello.to !== '' && hello.to !== keys.id)) {
    throw fault('TAMPERED', what, 'not-sent')
  }
  const key = await verified(keys, hello, said(hello), method, now())
  const identity = await keys.identity()
  const pair = await crypto.agreementPair()
  const secret = await pair.agree(hello.key)
  if (!secret) throw fault('TAMPERED', what, 'not-sent')
  const bare = { id: keys.id, to: hello.id, session: crypto.random(SESSION_BYTES), key: pair.publicKey }
  const transcript = said(hello, bare)
  const answer = helloOf({ ...bare, signature: await identity.pair.sign(transcript) })
  const near = { id: bare.id, session: bare.session, identity }
  const far = { id: hello.id, session: hello.session, key }
  const expires = now() + sessionMs
  const direction: Direction = 'answer'
  const session = new Session({ crypto, near, far, direction, secret, transcript, expires, rekeyMessages })
  return { session, answer }
}

/** The key that has signed it. @throws ViaductError UNAUTHENTICATED / KEY_UNKNOWN, KEY_EXPIRED */
async function verified(
  keys: Keys,
  { id, signature }: Hello,
  message: Uint8Array,
  method: Method,
  now: number,
): Promise<PublicKey> {
  for (const key of await keys.keysOf(id, method.name)) {
    if (!(await keys.primitives.crypto.verify(key.bytes, message, signature))) continue
    if (key.until > now) return key
    throw fault('KEY_EXPIRED', `${method.name}: ${id}`, 'not-sent')
  }
  throw fault('KEY_UNKNOWN', `${method.name}: ${id}`, 'not-sent')
}

function helloOf(hello: Hello): Envelope {
  return new Envelope(CODEC.AGREEMENT, concat(new BodyEncoder().encode(hello)))
}

/** Undefined for anything but a whole one. */
function readHello(given: unknown): Hello | undefined {
  if (!isAgreement(given) || given.bytes.length > HELLO_BYTES) return undefined
  const value = tryDecode(given.bytes)
  if (typeof value !== 'object' || value === null) return undefined
  const read = (name: string): unknown => (Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined)
  const [id, to, session, key, signature] = ['id', 'to', 'session', 'key', 'signature'].map(read)
  if (typeof id !== 'string' || id.length > MAX_ID || typeof to !== 'string' || to.length > MAX_ID)
    return undefined
  if (!isBytes(session, SESSION_BYTES) || !isBytes(key, KEY_BYTES) || !isBytes(signature, 64))
    return undefined
  return { id, to, session, key, signature }
}

function tryDecode(bytes: Uint8Array): unknown {
  try {
    return decodeBody(bytes, 0, bytes.length, HELLO_BOUNDS)
  } catch {
    return undefined
  }
}

function isBytes(value: unknown, length: number): value is Uint8Array {
  return value instanceof Uint8Array && value.length === length
}

/** Whether a value says hello instead of being a call's. */
export function isAgreement(value: unknown): value is Envelope {
  return value instanceof Envelope && value.codec === CODEC.AGREEMENT
}

/** The sessions that a callee has agreed upon, by the caller's: as many as its bounds let, the longest unused go. */
export class Sessions {
  readonly #now: () => number
  readonly #max: number
  readonly #maxOfPeer: number
  readonly #sessions = new Map<string, Session>()

  constructor(now: () => number, max: number, maxOfPeer: number) {
    this.#now = now
    this.#max = max
    this.#maxOfPeer = maxOfPeer
  }

  get size(): number {
    return this.#sessions.size
  }

  /** @returns false when the caller's session is known: it said the same hello before. */
  add(name: string, session: Session): boolean {
    if (this.#sessions.has(name)) return false
    this.#sessions.set(name, session)
    const own = [...this.#sessions].filter(([, known]) => known.farId === session.farId)
    const [oldestOwn] = own
    if (own.length > this.#maxOfPeer && oldestOwn) this.#sessions.delete(oldestOwn[0])
    const [oldest] = this.#sessions
    if (this.#sessions.size > this.#max && oldest) this.#sessions.delete(oldest[0])
    return true
  }

  /** @throws ViaductError FAILED_PRECONDITION / SESSION_UNKNOWN, SESSION_EXPIRED */
  get(name: string, from: string, what: string): Session {
    const session = this.#sessions.get(name)
    if (!session || (from !== '' && session.farId !== from)) throw fault('SESSION_UNKNOWN', what, 'not-sent')
    this.#sessions.delete(name)
    if (session.expires <= this.#now()) throw fault('SESSION_EXPIRED', what, 'not-sent')
    this.#sessions.set(name, session)
    return session
  }
}
