import type { Method } from '../core/method.ts'
import { CODEC, Envelope } from '../wire/envelope.ts'
import { linkError } from '../wire/linkError.ts'
import { concat, equal, fields } from './bytes.ts'
import type { Content } from './content.ts'
import { fault } from './faults.ts'
import type { Identity, PublicKey } from './keyring.ts'
import type { CryptoPrimitives } from './primitives.ts'
import { ReplayWindow } from './replayWindow.ts'

export const SESSION_BYTES = 16
const SIGNATURE_BYTES = 64
const AES_KEY_BYTES = 32
/** Session, sequence u64, parent u64, counter u64, index u32, part u8, three zeros, fingerprint u64. */
const HEAD_BYTES = 56
const AT = { sequence: 16, counter: 32, index: 40, part: 44, fingerprint: 48 } as const

/** What a protected value is of its call. */
const PART = { input: 1, upload: 2, uploadEnd: 3, item: 4, output: 5, error: 6, progress: 7 } as const
export type Part = keyof typeof PART

/** Which of the two ends speaks: the one that calls, or the one that answers. */
export type Direction = 'call' | 'answer'

export interface SessionParts {
  readonly crypto: CryptoPrimitives
  readonly near: { readonly id: string; readonly session: Uint8Array; readonly identity: Identity }
  readonly far: { readonly id: string; readonly session: Uint8Array; readonly key: PublicKey }
  /** What the near end says. */
  readonly direction: Direction
  /** The shared secret, and what both have signed. */
  readonly secret: Uint8Array
  readonly transcript: Uint8Array
  readonly expires: number
  /** Messages of one direction under one key. */
  readonly rekeyMessages: number
}

/** One call within a session. */
export interface Exchange {
  readonly session: Session
  readonly method: Method
  readonly sequence: number
}

/** A protected value that was what the far end sent. */
export interface Opened extends Content {
  readonly part: Part
  readonly sequence: number
  readonly index: number
}

/** What two ends have agreed upon: their keys and sessions. One of them calls in it, the other answers. */
export class Session {
  readonly #parts: SessionParts
  readonly replay = new ReplayWindow()
  /** The last two keys of each direction, by their epoch. */
  readonly #keys = new Map<string, Promise<Uint8Array>>()
  readonly #covered = new WeakMap<Method, { near: Uint8Array; far: Uint8Array }>()
  #counter = 0
  #sequence = 0

  constructor(parts: SessionParts) {
    this.#parts = parts
  }

  get farId(): string {
    return this.#parts.far.id
  }

  get farSession(): Uint8Array {
    return this.#parts.far.session
  }

  /** When it ends: by its own time, or as one of the keys behind it does. */
  get expires(): number {
    const { expires, near, far } = this.#parts
    return Math.min(expires, near.identity.until, far.key.until)
  }

  /** The number of the next call. */
  begin(method: Method): Exchange {
    this.#sequence++
    return { session: this, method, sequence: this.#sequence }
  }

  /** @param index of an item among those of its direction; of what ends them, how many there were. */
  async protect(
    { method, sequence }: Exchange,
    part: Part,
    index: number,
    content: Content,
  ): Promise<Envelope> {
    const { crypto, near, direction } = this.#parts
    const { sealed, signed } = protectionOf(method)
    const bits = content.bits | (sealed ? CODEC.SEALED : 0) | (signed ? CODEC.SIGNED : 0)
    const counter = this.#counter++
    const head = new Uint8Array(HEAD_BYTES)
    const view = new DataView(head.buffer)
    head.set(near.session)
    writeU64(view, AT.sequence, sequence)
    writeU64(view, AT.counter, counter)
    view.setUint32(AT.index, index, true)
    head[AT.part] = PART[part]
    view.setBigUint64(AT.fingerprint, fingerprintOf(method), true)
    const covered = this.#cover(method, 'near', head, bits, content.bytes.length)
    let { bytes } = content
    if (signed) bytes = concat(await near.identity.pair.sign(fields(covered, bytes)), bytes)
    if (sealed)
      bytes = await crypto.seal(await this.#key(direction, counter), nonceOf(counter), covered, bytes)
    return new Envelope(bits, concat(head, bytes))
  }

  /**
   * @param expected what it may be; the first one names it in errors.
   * @throws ViaductError UNAUTHENTICATED / UNPROTECTED, TAMPERED · FAILED_PRECONDITION / SKEW
   */
  async open(method: Method, expected: readonly Part[], given: unknown): Promise<Opened> {
    const what = `${method.name}: ${expected[0]}`
    const { crypto, direction, far } = this.#parts
    const { sealed, signed, compress } = protectionOf(method)
    if (!isProtected(given, method)) throw fault('UNPROTECTED', what)
    const { codec, bytes } = given
    const head = bytes.subarray(0, HEAD_BYTES)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const sequence = readU64(view, AT.sequence)
    const counter = readU64(view, AT.counter)
    if (view.getBigUint64(AT.fingerprint, true) !== fingerprintOf(method))
      throw linkError('SKEW', what, 'not-sent')
    const bits = codec & CODEC.COMPRESSED
    const overhead = (signed ? SIGNATURE_BYTES : 0) + (sealed ? 16 : 0)
    const length = bytes.length - HEAD_BYTES - overhead
    const part = expected.find((one) => PART[one] === head[AT.part])
    if (
      !part ||
      length < 0 ||
      !equal(head.subarray(0, SESSION_BYTES), far.session) ||
      (bits !== 0 && !compress)
    ) {
      throw fault('TAMPERED', what)
    }
    const covered = this.#cover(method, 'far', head, codec, length)
    let content: Uint8Array | undefined = bytes.subarray(HEAD_BYTES)
    if (sealed) {
      const key = await this.#key(direction === 'call' ? 'answer' : 'call', counter)
      content = await crypto.open(key, nonceOf(counter), covered, content)
    }
    if (content && signed) {
      const signature = content.subarray(0, SIGNATURE_BYTES)
      const said = content.subarray(SIGNATURE_BYTES)
      const isTheirs = await crypto.verify(far.key.bytes, fields(covered, said), signature)
      content = isTheirs ? said : undefined
    }
    if (!content) throw fault('TAMPERED', what)
    return { part, sequence, index: view.getUint32(AT.index, true), bits, bytes: content }
  }

  /** What is authenticated beside the content itself. */
  #cover(
    method: Method,
    sender: 'near' | 'far',
    head: Uint8Array,
    codec: number,
    length: number,
  ): Uint8Array {
    let known = this.#covered.get(method)
    if (!known) {
      const { near, far } = this.#parts
      const of = (from: { id: string }, to: { id: string; session: Uint8Array }) =>
        fields('viaduct 1', from.id, to.id, to.session, method.name)
      known = { near: of(near, far), far: of(far, near) }
      this.#covered.set(method, known)
    }
    const end = new Uint8Array(5)
    end[0] = codec
    new DataView(end.buffer).setUint32(1, length, true)
    return concat(known[sender], head, end)
  }

  #key(direction: Direction, counter: number): Promise<Uint8Array> {
    const { crypto, near, far, direction: ours, secret, transcript, rekeyMessages } = this.#parts
    const epoch = Math.floor(counter / rekeyMessages)
    const name = `${direction} ${epoch}`
    const known = this.#keys.get(name)
    if (known) return known
    const [caller, callee] = ours === 'call' ? [near, far] : [far, near]
    const made = Promise.resolve(
      crypto.hkdf(
        secret,
        concat(caller.session, callee.session),
        fields('viaduct 1 seal', direction, String(epoch), transcript),
        AES_KEY_BYTES,
      ),
    )
    this.#keys.set(name, made)
    // Two of each direction: what was sent around a change of keys may come in another order.
    for (const oldest of this.#keys.keys()) {
      if (this.#keys.size <= 4) break
      this.#keys.delete(oldest)
    }
    return made
  }
}

function protectionOf({ codecs }: Method): { compress: boolean; sealed: boolean; signed: boolean } {
  return codecs ?? { compress: false, sealed: false, signed: false }
}

/** Whether a value has the protection that its method asks for, to be believed when it is opened. */
export function isProtected(value: unknown, method: Method): value is Envelope {
  const { sealed, signed } = protectionOf(method)
  const wanted = (sealed ? CODEC.SEALED : 0) | (signed ? CODEC.SIGNED : 0)
  return (
    value instanceof Envelope &&
    (value.codec & ~CODEC.COMPRESSED) === wanted &&
    value.bytes.length >= HEAD_BYTES
  )
}

/** The session that a protected value says it is of. */
export function sessionIn({ bytes }: Envelope): Uint8Array {
  return bytes.subarray(0, SESSION_BYTES)
}

/** Of the method as this end knows it. */
function fingerprintOf({ fingerprint }: Method): bigint {
  return BigInt(`0x${fingerprint || '0'}`)
}

function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(12)
  writeU64(new DataView(nonce.buffer), 4, counter)
  return nonce
}

function writeU64(view: DataView, at: number, value: number): void {
  view.setBigUint64(at, BigInt(value), true)
}

/** Numbers over 2^53 are no one's: they read as one that authenticates nothing. */
function readU64(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true)
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Number.MAX_SAFE_INTEGER
}
