import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import { deflateRaw, deflateRawSync, inflateRaw, inflateRawSync } from 'node:zlib'
import type { CryptoPrimitives, Primitives } from '../codecs/primitives.ts'
import { errnoOf } from './errno.ts'

const TAG_BYTES = 16
const SEED_BYTES = 32
const CIPHER = 'aes-256-gcm'
/** What stands before the raw key in its DER form: of a private one PKCS #8, of a public one SPKI. */
const PREFIX = {
  ed25519: { private: '302e020100300506032b657004220420', public: '302a300506032b6570032100' },
  x25519: { private: '302e020100300506032b656e04220420', public: '302a300506032b656e032100' },
} as const

function privateKey(curve: keyof typeof PREFIX, seed: Uint8Array): KeyObject {
  const key = Buffer.concat([Buffer.from(PREFIX[curve].private, 'hex'), seed])
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' })
}

function publicKey(curve: keyof typeof PREFIX, raw: Uint8Array): KeyObject {
  const key = Buffer.concat([Buffer.from(PREFIX[curve].public, 'hex'), raw])
  return createPublicKey({ key, format: 'der', type: 'spki' })
}

/** Keys that signatures are verified with again and again, by the very bytes that name them. */
const verifiers = new WeakMap<Uint8Array, KeyObject>()

function verifier(raw: Uint8Array): KeyObject {
  const known = verifiers.get(raw) ?? publicKey('ed25519', raw)
  verifiers.set(raw, known)
  return known
}

function rawPublic(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-SEED_BYTES))
}

const crypto: CryptoPrimitives = {
  random: (bytes) => new Uint8Array(randomBytes(bytes)),
  signingPair(seed = randomBytes(SEED_BYTES)) {
    const key = privateKey('ed25519', seed)
    return { publicKey: rawPublic(key), sign: (message) => new Uint8Array(sign(null, message, key)) }
  },
  verify(key, message, signature) {
    try {
      return verify(null, message, verifier(key), signature)
    } catch {
      return false
    }
  },
  agreementPair(seed = randomBytes(SEED_BYTES)) {
    const key = privateKey('x25519', seed)
    return {
      publicKey: rawPublic(key),
      agree(other) {
        try {
          const secret = diffieHellman({ privateKey: key, publicKey: publicKey('x25519', other) })
          return secret.some((byte) => byte !== 0) ? new Uint8Array(secret) : undefined
        } catch {
          return undefined
        }
      },
    }
  },
  hkdf: (secret, salt, info, bytes) => new Uint8Array(hkdfSync('sha256', secret, salt, info, bytes)),
  seal(key, nonce, covered, plain) {
    const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(covered)
    return whole(cipher.update(plain), cipher.final(), () => cipher.getAuthTag())
  },
  open(key, nonce, covered, sealed) {
    // Without the length a tag of four bytes would do.
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
    try {
      decipher.setAAD(covered)
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
      const plain = decipher.update(sealed.subarray(0, -TAG_BYTES))
      return whole(plain, decipher.final())
    } catch {
      return undefined
    }
  },
}

/** Memory of its own: a view of a pool would keep others' bytes beside it. */
function whole(one: Uint8Array, other: Uint8Array, tag?: () => Uint8Array): Uint8Array {
  const end = tag?.() ?? new Uint8Array(0)
  const bytes = new Uint8Array(one.length + other.length + end.length)
  bytes.set(one)
  bytes.set(other, one.length)
  bytes.set(end, one.length + other.length)
  return bytes
}

/** Contents up to this size are worked on at once; the rest beside the event loop. */
const SYNC_BYTES = 16 * 1024
const TOO_LARGE = 'ERR_BUFFER_TOO_LARGE'

/** What the codecs need, from Node: Ed25519, X25519, HKDF, AES-256-GCM, deflate. */
export const nodePrimitives: Primitives = {
  crypto,
  compression: {
    deflate(bytes) {
      if (bytes.length <= SYNC_BYTES) return deflateRawSync(bytes)
      return new Promise((resolve, reject) => {
        deflateRaw(bytes, (error, deflated) => (error ? reject(error) : resolve(deflated)))
      })
    },
    inflate(bytes, maxBytes) {
      if (maxBytes <= SYNC_BYTES) return inflateSmall(bytes, maxBytes)
      return new Promise((resolve, reject) => {
        inflateRaw(bytes, { maxOutputLength: maxBytes }, (error, inflated) => {
          if (!error) resolve(inflated)
          else if (errnoOf(error) === TOO_LARGE) resolve(undefined)
          else reject(error)
        })
      })
    },
  },
}

function inflateSmall(bytes: Uint8Array, maxBytes: number): Uint8Array | undefined {
  try {
    return inflateRawSync(bytes, { maxOutputLength: maxBytes })
  } catch (error) {
    if (errnoOf(error) === TOO_LARGE) return undefined
    throw error
  }
}
