/** Compress, seal and sign what travels between two ends; what is between them sees none of it. */

export { type CodecOptions, type CodecPolicy, codecs } from './codecs.ts'
export { type Keyring, type KeyringOptions, type KeyServer, keyring } from './keyring.ts'
export type {
  AgreementPair,
  CompressionPrimitives,
  CryptoPrimitives,
  Later,
  Primitives,
  SigningPair,
} from './primitives.ts'
