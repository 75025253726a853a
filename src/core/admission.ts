import { BodyEncoder } from '../wire/body.ts'
import { ViaductError } from '../wire/errors.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import { readU32 } from '../wire/frame.ts'
import { isObject } from '../wire/guards.ts'
import * as AT from '../wire/headerAt.ts'
import * as KIND from '../wire/kind.ts'
import {
  ADMISSION_BYTES,
  HEADER_BYTES,
  HUB_BODY_DEPTH,
  MAX_EXCHANGES,
  UNTRUSTED_MESSAGE_BYTES,
} from '../wire/limits.ts'
import { linkFrameBytes, readLinkBody, writeLinkFrame } from '../wire/linkBody.ts'
import type { PeerInfo } from './call.ts'
import type { Link } from './link.ts'
import { peerInfo } from './served.ts'

/** What admission needs of its environment: HMAC-SHA256, a comparison that takes the same time always, nonces. */
export interface AdmissionCrypto {
  mac(key: Uint8Array, ...parts: readonly (string | Uint8Array)[]): Uint8Array
  equal(one: Uint8Array, other: Uint8Array): boolean
  random(bytes: number): Uint8Array
}

const NONCE_BYTES = 32
const LIMITS = { maxDepth: HUB_BODY_DEPTH, maxKeys: 64 }
const PEER_SAYS = 'viaduct peer'
const HUB_SAYS = 'viaduct hub'

/** A link frame with a body, as bytes of its own: admission goes past the outbox, which is held. */
function frameOf(kind: number, value: unknown): Uint8Array {
  const body = new BodyEncoder().encode(value)
  const frame = new Uint8Array(linkFrameBytes(body))
  writeLinkFrame(frame, 0, kind, 0, body)
  return frame
}

function payloadOf(bytes: Uint8Array, at: number, length: number): Uint8Array | undefined {
  const size = readU32(bytes, at + AT.payloadBytes)
  return size <= length - HEADER_BYTES ? bytes.slice(at + HEADER_BYTES, at + HEADER_BYTES + size) : undefined
}

function bodyOf(payload: Uint8Array): Record<string, unknown> | undefined {
  return readLinkBody(payload, 0, payload.length, LIMITS)
}

/** What the hub tells a peer that it has admitted. */
export interface Welcome {
  readonly you: PeerInfo
  readonly hub: PeerInfo
  /** What the hub takes from this peer. */
  readonly limits: { readonly messageBytes: number; readonly exchanges: number }
}

/**
 * The peer's side (PROTOCOL.md, section 2). With a key both sides prove that they hold it; without one the
 * link itself is the proof, as an inherited socket pair is.
 */
export class Joining {
  readonly #key: Uint8Array | undefined
  readonly #crypto: AdmissionCrypto
  readonly #hello: Uint8Array
  #hubHello: Uint8Array | undefined
  #done = false
  readonly #onWelcome: (welcome: Welcome) => void

  constructor(
    who: { readonly id?: string; readonly key?: Uint8Array; readonly pid?: number },
    crypto: AdmissionCrypto,
    onWelcome: (welcome: Welcome) => void,
  ) {
    this.#key = who.key
    this.#crypto = crypto
    this.#onWelcome = onWelcome
    const { id, pid } = who
    this.#hello = frameOf(KIND.HELLO, {
      features: [],
      ...(id === undefined ? {} : { id }),
      nonce: crypto.random(NONCE_BYTES),
      ...(pid === undefined ? {} : { pid }),
    })
  }

  begin(link: Link): void {
    link.outbox.bypass(this.#hello)
  }

  receive(link: Link, kind: number, bytes: Uint8Array, at: number, length: number): void {
    const payload = payloadOf(bytes, at, length)
    const body = payload && bodyOf(payload)
    if (!payload || !body || this.#done) link.violation()
    else if (kind === KIND.HELLO && this.#key && !this.#hubHello) this.#prove(link, this.#key, payload)
    else if (kind === KIND.WELCOME) this.#welcome(link, body)
    else link.violation()
  }

  #prove(link: Link, key: Uint8Array, hubHello: Uint8Array): void {
    this.#hubHello = hubHello
    link.outbox.bypass(frameOf(KIND.PROOF, { mac: this.#crypto.mac(key, PEER_SAYS, this.#own(), hubHello) }))
  }

  #own(): Uint8Array {
    return this.#hello.subarray(HEADER_BYTES, HEADER_BYTES + readU32(this.#hello, AT.payloadBytes))
  }

  #welcome(link: Link, body: Record<string, unknown>): void {
    if (this.#key) {
      const { mac } = body
      const expected = this.#hubHello && this.#crypto.mac(this.#key, HUB_SAYS, this.#own(), this.#hubHello)
      if (!expected || !(mac instanceof Uint8Array) || !this.#crypto.equal(mac, expected)) {
        link.close('UNAUTHENTICATED')
        return
      }
    }
    const you = peerInfo(body)
    const { hub } = body
    const session = isObject(hub) && 'session' in hub ? hub.session : undefined
    if (!you || typeof session !== 'string') {
      link.violation()
      return
    }
    this.#done = true
    const limits = {
      messageBytes: positive(body.limits, 'messageBytes', UNTRUSTED_MESSAGE_BYTES),
      exchanges: positive(body.limits, 'exchanges', MAX_EXCHANGES),
    }
    this.#onWelcome({ you, hub: { id: 'hub', type: 'hub', zone: 'hub', session }, limits })
  }
}

/** A limit that the hub names; the least that any peer has when it does not. */
function positive(limits: unknown, key: string, least: number): number {
  const value = fieldOf(limits, key)
  return typeof value === 'number' && value > 0 ? value : least
}

/** Whom the hub takes a link for: known by the link itself, or to be proved with the id's key. */
export interface Identity {
  readonly id: string
  readonly type: string
  readonly pid?: number
  /** Several links may hold it at once: each but the first gets a name made from it. */
  readonly shared?: boolean
}

export interface AdmittingHost {
  /** The identity and key of an id that has a credential; undefined for all others. */
  credential(id: string): { readonly identity: Identity; readonly key: Uint8Array } | undefined
  /** The body of WELCOME, without the mac; undefined refuses the identity. */
  admit(identity: Identity, claimedPid: number | undefined): Record<string, unknown> | undefined
  admitted(): void
}

/** The hub's side of the same. */
export class Admitting {
  readonly #host: AdmittingHost
  readonly #crypto: AdmissionCrypto
  readonly #identity: Identity | undefined
  #claim: { identity: Identity; key: Uint8Array; pid: number | undefined } | undefined
  #transcript: [Uint8Array, Uint8Array] | undefined
  #bytes = 0
  #done = false

  /** @param identity who is there, where the link itself says so. */
  constructor(host: AdmittingHost, crypto: AdmissionCrypto, identity: Identity | undefined) {
    this.#host = host
    this.#crypto = crypto
    this.#identity = identity
  }

  receive(link: Link, kind: number, bytes: Uint8Array, at: number, length: number): void {
    this.#bytes += length
    const payload = payloadOf(bytes, at, length)
    const body = payload && this.#bytes <= ADMISSION_BYTES ? bodyOf(payload) : undefined
    if (!payload || !body || this.#done) link.violation()
    else if (kind === KIND.HELLO && !this.#claim) this.#hello(link, payload, body)
    else if (kind === KIND.PROOF && this.#claim) this.#proof(link, body)
    else link.violation()
  }

  #hello(link: Link, payload: Uint8Array, body: Record<string, unknown>): void {
    const pid = typeof body.pid === 'number' ? body.pid : undefined
    if (this.#identity) {
      this.#welcome(link, this.#identity, pid, undefined)
      return
    }
    const { id } = body
    const known = typeof id === 'string' ? this.#host.credential(id) : undefined
    // An unknown id is answered like a known one, with a key that nobody has: who is known stays hidden.
    const identity = known?.identity ?? { id: '', type: '' }
    const key = known?.key ?? this.#crypto.random(NONCE_BYTES)
    this.#claim = { identity, key, pid }
    const hello = frameOf(KIND.HELLO, { features: [], id: 'hub', nonce: this.#crypto.random(NONCE_BYTES) })
    const size = readU32(hello, AT.payloadBytes)
    this.#transcript = [payload, hello.subarray(HEADER_BYTES, HEADER_BYTES + size)]
    link.outbox.bypass(hello)
  }

  #proof(link: Link, body: Record<string, unknown>): void {
    const { mac } = body
    if (!this.#claim || !this.#transcript) return
    const { identity, key, pid } = this.#claim
    const expected = this.#crypto.mac(key, PEER_SAYS, ...this.#transcript)
    if (!(mac instanceof Uint8Array) || !this.#crypto.equal(mac, expected)) {
      link.close('UNAUTHENTICATED')
      return
    }
    this.#welcome(link, identity, pid, this.#crypto.mac(key, HUB_SAYS, ...this.#transcript))
  }

  #welcome(link: Link, identity: Identity, pid: number | undefined, mac: Uint8Array | undefined): void {
    const welcome = this.#host.admit(identity, pid)
    if (!welcome) {
      link.close('DENIED')
      return
    }
    this.#done = true
    link.outbox.bypass(frameOf(KIND.WELCOME, mac ? { ...welcome, mac } : welcome))
    this.#host.admitted()
  }
}

/** Why a link that was to be admitted has ended. */
export function admissionError(reason: string, app: string): ViaductError {
  const text: Record<string, string> = {
    UNAUTHENTICATED: 'the hub does not accept this credential; it may be of an earlier life of the hub',
    DENIED: 'the hub admits no such peer',
    VERSION_MISMATCH: 'hub and peer speak no common version of the protocol; update the older one',
    ADMISSION_TIMEOUT: 'the hub waited too long for a proof',
  }
  const code = reason === 'UNAUTHENTICATED' || reason === 'DENIED' ? 'UNAUTHENTICATED' : 'UNAVAILABLE'
  return new ViaductError(
    code,
    `hub ${app}: ${text[reason] ?? 'the link ended before the hub had admitted this peer'}`,
    {
      reason,
      fate: 'not-sent',
    },
  )
}
