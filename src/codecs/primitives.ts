/** What the codecs need of their host. Everything may answer at once or with a promise. */
export type Later<T> = T | PromiseLike<T>

/** An Ed25519 key pair. The private key stays behind `sign`. */
export interface SigningPair {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** 64 bytes. */
  sign(message: Uint8Array): Later<Uint8Array>
}

/** An X25519 key pair. The private key stays behind `agree`. */
export interface AgreementPair {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** The shared secret; undefined when the other's key gives none (a point of low order). */
  agree(publicKey: Uint8Array): Later<Uint8Array | undefined>
}

export interface CryptoPrimitives {
  random(bytes: number): Uint8Array
  /** Ed25519 (RFC 8032). @param seed the private key's 32 bytes; default: a new one. */
  signingPair(seed?: Uint8Array): Later<SigningPair>
  /** @returns false for anything but this key's signature of this message. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Later<boolean>
  /** X25519 (RFC 7748). @param seed the private key's 32 bytes; default: a new one. */
  agreementPair(seed?: Uint8Array): Later<AgreementPair>
  /** HKDF-SHA256 (RFC 5869). */
  hkdf(secret: Uint8Array, salt: Uint8Array, info: Uint8Array, bytes: number): Later<Uint8Array>
  /** AES-256-GCM: the ciphertext, and behind it the tag of 16 bytes. */
  seal(key: Uint8Array, nonce: Uint8Array, covered: Uint8Array, plain: Uint8Array): Later<Uint8Array>
  /** Undefined unless the whole of it, and what is covered, is what was sealed with this key and nonce. */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    covered: Uint8Array,
    sealed: Uint8Array,
  ): Later<Uint8Array | undefined>
}

/** Raw deflate (RFC 1951). */
export interface CompressionPrimitives {
  deflate(bytes: Uint8Array): Later<Uint8Array>
  /** Undefined when it would be longer than `maxBytes`, which is never allocated; throws on what is no deflate. */
  inflate(bytes: Uint8Array, maxBytes: number): Later<Uint8Array | undefined>
}

export interface Primitives {
  readonly crypto: CryptoPrimitives
  readonly compression: CompressionPrimitives
}
