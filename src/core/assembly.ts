import * as FLAG from '../wire/flag.ts'
import { readU32 } from '../wire/frame.ts'
import * as AT from '../wire/headerAt.ts'
import * as KIND from '../wire/kind.ts'
import { HEADER_BYTES } from '../wire/limits.ts'

/** A message put together from fragments: a copy of its first header, and its payload, owned by nobody else. */
export interface Assembled {
  readonly header: Uint8Array
  readonly payload: Uint8Array
}

interface Pool {
  allocUnsafeSlow(bytes: number): Uint8Array
}

function isPool(value: unknown): value is Pool {
  return typeof value === 'function' && 'allocUnsafeSlow' in value
}

const pool: unknown = Reflect.get(globalThis, 'Buffer')

/**
 * Memory for one message, its own and not cleared where the host can leave that out: a message is handed on
 * only when every byte of it has come.
 */
const allocate: (bytes: number) => Uint8Array = isPool(pool)
  ? (bytes) => new Uint8Array(pool.allocUnsafeSlow(bytes).buffer)
  : (bytes) => new Uint8Array(bytes)

interface Partial {
  readonly header: Uint8Array
  payload: Uint8Array
  filled: number
}

const NO_BYTES = new Uint8Array()

/**
 * Puts fragmented messages together. One message of an exchange and direction is under way at a time; its
 * memory is taken once, after its declared length was checked against the limit.
 */
export class Assembly {
  readonly #partials = new Map<number, Partial>()
  /** Bytes taken for unfinished messages. */
  bytes = 0

  /** @returns false when one is under way already. The caller has checked payloadBytes against its limit. */
  begin(bytes: Uint8Array, at: number, length: number): boolean {
    const key = keyOf(bytes, at)
    const total = readU32(bytes, at + AT.payloadBytes)
    if (this.#partials.has(key) || total < length - HEADER_BYTES) return false
    const payload = allocate(total)
    payload.set(bytes.subarray(at + HEADER_BYTES, at + length))
    this.bytes += total
    this.#partials.set(key, {
      header: bytes.slice(at, at + HEADER_BYTES),
      payload,
      filled: length - HEADER_BYTES,
    })
    return true
  }

  /** The header of the message that this fragment goes on with, or undefined when it is late. */
  headerOf(bytes: Uint8Array, at: number): Uint8Array | undefined {
    return this.#partials.get(keyOf(bytes, at))?.header
  }

  /** @returns the message when this was its last fragment, 'more' when it was not, 'bad' when it does not fit. */
  add(bytes: Uint8Array, at: number, length: number): Assembled | 'more' | 'bad' | 'late' {
    const key = keyOf(bytes, at)
    const partial = this.#partials.get(key)
    if (!partial) return 'late'
    const size = readU32(bytes, at + AT.payloadBytes)
    const last = ((bytes[at + AT.flags] as number) & FLAG.MORE) === 0
    if (
      size > length - HEADER_BYTES ||
      partial.filled + size > partial.payload.length ||
      (last && partial.filled + size !== partial.payload.length)
    ) {
      return 'bad'
    }
    partial.payload.set(bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + size), partial.filled)
    partial.filled += size
    if (!last) return 'more'
    return this.#take(key, partial)
  }

  /** Forgets what has come of a message, if there is one. */
  drop(id: number, answer: boolean): boolean {
    const key = id * 2 + (answer ? 1 : 0)
    const partial = this.#partials.get(key)
    if (!partial) return false
    this.#take(key, partial)
    return true
  }

  /** Tables that V8 made for a map may live on and refer to what was in it: a payload must not be that. */
  #take(key: number, partial: Partial): Assembled {
    const { header, payload } = partial
    this.#partials.delete(key)
    this.bytes -= payload.length
    partial.payload = NO_BYTES
    return { header, payload }
  }
}

/** Whether a frame with MORE is well formed: full of payload, a multiple of 8, of a kind that may be cut. */
export function isCut(kind: number, length: number, payloadBytes: number): boolean {
  const here = length - HEADER_BYTES
  if (kind === KIND.FRAGMENT) return here === payloadBytes && here > 0
  return (
    here > 0 &&
    here < payloadBytes &&
    (kind === KIND.CALL || kind === KIND.ITEM || kind === KIND.END || kind === KIND.ERROR)
  )
}

function keyOf(bytes: Uint8Array, at: number): number {
  const answer = ((bytes[at + AT.flags] as number) & FLAG.ANSWER) === 0 ? 0 : 1
  return readU32(bytes, at + AT.id) * 2 + answer
}
