import { deflateRaw, inflateRaw } from 'node:zlib'
import { errnoOf } from './errno.ts'

/** Raw deflate (RFC 1951) from Node, beside the event loop. */
export const nodeCompression = {
  deflate: (bytes: Uint8Array): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      deflateRaw(bytes, (error, deflated) => (error ? reject(error) : resolve(deflated)))
    }),
  /** Undefined when it would be longer than `maxBytes`, which is never allocated; rejects for what is no deflate. */
  inflate: (bytes: Uint8Array, maxBytes: number): Promise<Uint8Array | undefined> =>
    new Promise((resolve, reject) => {
      inflateRaw(bytes, { maxOutputLength: maxBytes }, (error, inflated) => {
        if (!error) resolve(inflated)
        else if (errnoOf(error) === 'ERR_BUFFER_TOO_LARGE') resolve(undefined)
        else reject(error)
      })
    }),
}
