import type { Dictionary } from '../wire/dictionary.ts'
import { ViaductError } from '../wire/errors.ts'
import { isText } from '../wire/guards.ts'

/** Lanes in order of urgency. `control` is the link's own; the others are chosen per method. */
export const LANES = { control: 0, high: 1, normal: 2, low: 3 } as const
export type Lane = 'high' | 'normal' | 'low'

/** What happens to an event when a subscriber's queue is full. */
export type Overflow = 'block' | 'drop-oldest' | 'drop-newest' | 'error' | 'conflate'

/** What is done to the values of a method between its two ends; a hub sees none of it. */
export interface MethodCodecs {
  readonly compress: boolean
  readonly sealed: boolean
  readonly signed: boolean
}

/**
 * What a peer has to know of a method to call or serve it. A contract makes these; without a contract
 * {@link untyped} does. `call` is answered once, `stream` with items, `topic` is published and subscribed.
 */
export interface Method {
  /** Full name: contract and method joined by a dot, as `pages.analyze`. */
  readonly name: string
  readonly kind: 'call' | 'stream' | 'topic'
  /** The caller sends items of its own. */
  readonly upload: boolean
  /** 16 hexadecimal digits (FNV-1a 64 over the method's shape), or '' when there is nothing to compare. */
  readonly fingerprint: string
  readonly lane: Lane
  /** Dictionaries used when both sides have the same fingerprint; otherwise bodies describe themselves. */
  readonly input?: Dictionary
  readonly output?: Dictionary
  readonly item?: Dictionary
  readonly uploadItem?: Dictionary
  /** Only idempotent calls are ever sent again after they may have run. */
  readonly idempotent: boolean
  readonly overflow: Overflow
  /** Absent: values travel as they are. */
  readonly codecs?: MethodCodecs | undefined
}

/** A method known by its name alone: every body describes itself. */
export function untyped(
  name: string,
  kind: Method['kind'] = 'call',
  upload = false,
  { lane = 'normal', idempotent = false, overflow = 'drop-oldest' }: MethodOptions = {},
): Method {
  return { name, kind, upload, fingerprint: '', lane, idempotent, overflow }
}

type MethodOptions = Partial<Pick<Method, 'lane' | 'idempotent' | 'overflow'>>

export const MAX_NAME = 256
export const MAX_FINGERPRINT = 16

/**
 * Sees that what was given for a method is one: a far end closes its link over a definition of another form.
 *
 * @throws ViaductError INVALID_ARGUMENT / BAD_METHOD
 */
export function checkMethod(given: Method): void {
  const { name, fingerprint, lane }: { readonly [K in keyof Method]?: unknown } = Object(given)
  const isMethod = isText(name, MAX_NAME) && isText(fingerprint, MAX_FINGERPRINT)
  if (isMethod && Object.hasOwn(LANES, String(lane))) return
  const what = typeof given === 'string' ? JSON.stringify(given) : typeof given
  const text = `method: ${what} is none: pass the method or topic of a contract; names have at most ${MAX_NAME} characters`
  throw new ViaductError('INVALID_ARGUMENT', text, { reason: 'BAD_METHOD', path: 'method', fate: 'not-sent' })
}
