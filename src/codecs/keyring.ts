import { type Clock, systemClock } from '../core/clock.ts'
import { ViaductError } from '../wire/errors.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import { equal, fromBase64, toBase64 } from './bytes.ts'
import type { Primitives, SigningPair } from './primitives.ts'

/** Bytes of a public key, and of the seed of a private one. */
export const KEY_BYTES = 32
/** Keys that count at once for one id: the present one, and older ones while their time runs. */
const MAX_KEYS_OF_ID = 4
const MAX_PINNED_IDS = 4096
/** How long an old key counts beside the new one. */
const OVERLAP_MS = 60 * 60 * 1000

/** A public key of somebody, and until when it counts, on the keyring's clock. */
export interface PublicKey {
  readonly bytes: Uint8Array
  until: number
}

/** One key pair of our own, and until when what it signed counts. */
export interface Identity {
  readonly pair: SigningPair
  until: number
}

/** What a keyring asks of a hub: a `Peer`, or what calls one's methods. */
export interface KeyServer {
  readonly id: string
  call(method: string, input: unknown): Promise<unknown>
  /** Calls back now, if there is a link, and over each further link. */
  onLink(listener: () => void): () => void
}

export interface KeyringOptions {
  readonly primitives: Pick<Primitives, 'crypto'>
  /** This peer on its hub: it hands out our public key, and says those of others. Without it only pinned keys count. */
  readonly peer?: KeyServer
  /** Who we are, as others name us. Default: the peer's id. */
  readonly id?: string
  /** Public keys by id, base64. Of a pinned id no other counts, whatever a hub says. */
  readonly pinned?: { readonly [id: string]: string }
  /** 32 bytes of a private key that outlives the process. Default: a new key, for this process alone. */
  readonly seed?: Uint8Array
  readonly clock?: Clock
}

/** A key that others know by `publicKey`, and the keys that we know of others. The private key stays in here. */
export interface Keyring {
  readonly id: string
  /** Base64, for others to pin. */
  readonly publicKey: Promise<string>
  /** Signs with a new key from now on; the old one counts for `overlapMs` (default an hour). The new key, base64. */
  rotate(options?: { readonly overlapMs?: number; readonly seed?: Uint8Array }): Promise<string>
  /** Pins another key; the one that was pinned counts for `overlapMs` (default an hour) beside it. */
  pin(id: string, publicKey: string, options?: { readonly overlapMs?: number }): void
  /** Forgets what was pinned: nobody, or the hub, says the keys of this id from now on. */
  unpin(id: string): void
  /** Tells the hub nothing further. */
  close(): void
}

/** A keyring as the codecs use it. */
export class Keys implements Keyring {
  readonly primitives: Pick<Primitives, 'crypto'>
  readonly #server: KeyServer | undefined
  readonly #id: string | undefined
  readonly #clock: Clock
  readonly #pinned = new Map<string, PublicKey[]>()
  #own: Promise<Identity>
  /** Own keys that are replaced, and count yet. */
  #old: Identity[] = []
  #told: Promise<unknown> = Promise.resolve()
  readonly #close: () => void

  constructor(options: KeyringOptions) {
    const { primitives, peer, id, pinned = {}, seed, clock = systemClock } = options
    if (!peer && id === undefined) {
      throw bad('id', 'give the keyring its `peer`, or the `id` by which others know this process')
    }
    this.primitives = primitives
    this.#server = peer
    this.#id = id
    this.#clock = clock
    for (const [name, key] of Object.entries(pinned)) this.pin(name, key)
    this.#own = this.#make(seed)
    this.#close = peer?.onLink(() => this.#tell()) ?? (() => {})
  }

  get id(): string {
    return this.#id ?? this.#server?.id ?? ''
  }

  get publicKey(): Promise<string> {
    return this.#own.then(({ pair }) => toBase64(pair.publicKey))
  }

  /** The key that signs now, once the hub knows of it. */
  async identity(): Promise<Identity> {
    await this.#told
    return this.#own
  }

  async rotate({
    overlapMs = OVERLAP_MS,
    seed,
  }: {
    overlapMs?: number
    seed?: Uint8Array
  } = {}): Promise<string> {
    const before = await this.#own
    this.#own = this.#make(seed)
    const { pair } = await this.#own
    before.until = this.#clock.now() + checkMs('overlapMs', overlapMs)
    this.#old = [before, ...this.#old]
      .filter(({ until }) => until > this.#clock.now())
      .slice(0, MAX_KEYS_OF_ID - 1)
    this.#tell()
    await this.#told
    return toBase64(pair.publicKey)
  }

  pin(id: string, publicKey: string, { overlapMs = OVERLAP_MS }: { overlapMs?: number } = {}): void {
    const bytes = fromBase64(publicKey)
    if (bytes?.length !== KEY_BYTES) throw bad(`pinned.${id}`, 'a public key is 32 bytes in base64')
    if (!this.#pinned.has(id) && this.#pinned.size >= MAX_PINNED_IDS) {
      throw bad(`pinned.${id}`, `${MAX_PINNED_IDS} ids are pinned already`)
    }
    const now = this.#clock.now()
    const until = now + checkMs('overlapMs', overlapMs)
    const older = (this.#pinned.get(id) ?? []).filter((key) => !equal(key.bytes, bytes))
    for (const key of older) key.until = Math.min(key.until, until)
    this.#pinned.set(id, [{ bytes, until: Number.POSITIVE_INFINITY }, ...older].slice(0, MAX_KEYS_OF_ID))
  }

  unpin(id: string): void {
    for (const key of this.#pinned.get(id) ?? []) key.until = 0
    this.#pinned.delete(id)
  }

  close(): void {
    this.#close()
  }

  /**
   * The keys of a peer: the pinned ones, else those that the hub says.
   *
   * @param method that we call there, or that it calls here: the hub tells those whom it concerns.
   */
  async keysOf(id: string, method: string): Promise<readonly PublicKey[]> {
    const pinned = this.#pinned.get(id)
    if (pinned) return pinned
    if (!this.#server) return []
    const answer = await this.#server.call('$hub.keysOf', { id, method })
    return readKeys(answer).map(({ key, forMs }) => ({ bytes: key, until: this.#clock.now() + forMs }))
  }

  async #make(seed?: Uint8Array): Promise<Identity> {
    if (seed && seed.length !== KEY_BYTES) throw bad('seed', 'the seed of a private key is 32 bytes')
    return { pair: await this.primitives.crypto.signingPair(seed), until: Number.POSITIVE_INFINITY }
  }

  #tell(): void {
    this.#told = this.#tellHub()
    // Whoever agrees next hears of it.
    this.#told.then(undefined, () => {})
  }

  async #tellHub(): Promise<void> {
    const server = this.#server
    if (!server) return
    const { pair } = await this.#own
    const now = this.#clock.now()
    const old = this.#old.filter(({ until }) => until > now)
    const keys = [
      { key: pair.publicKey },
      ...old.map((identity) => ({ key: identity.pair.publicKey, forMs: identity.until - now })),
    ]
    await server.call('$hub.key', { keys })
  }
}

/** Makes the keyring of a peer: a key of its own, and the keys of others, pinned or as the hub says. */
export function keyring(options: KeyringOptions): Keyring {
  return new Keys(options)
}

function readKeys(answer: unknown): { key: Uint8Array; forMs: number }[] {
  const list = fieldOf(answer, 'keys')
  if (!Array.isArray(list)) return []
  return list.slice(0, MAX_KEYS_OF_ID).flatMap((line: unknown) => {
    if (typeof line !== 'object' || line === null || !('key' in line)) return []
    const forMs = 'forMs' in line && typeof line.forMs === 'number' ? line.forMs : Number.POSITIVE_INFINITY
    return line.key instanceof Uint8Array && line.key.length === KEY_BYTES ? [{ key: line.key, forMs }] : []
  })
}

function checkMs(path: string, ms: number): number {
  if (ms >= 0) return ms
  throw bad(path, 'milliseconds from 0 on')
}

function bad(path: string, text: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `keyring: ${path}: ${text}`, {
    reason: 'BAD_OPTION',
    path: `keyring.${path}`,
  })
}
