// Wraps all of this folder: S1's names, in TypeScript's case, over contracts, peers, policies and codecs.

export { MessageCompressor, type MessageCompressorOptions } from './messageCompressor.ts'
export * from './page.ts'
export { SecureIPCChannel, type SecureIPCChannelOptions } from './secureIPCChannel.ts'
