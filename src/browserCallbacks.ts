/**
 * Besides `viaduct/browser/full`, functions as arguments: `peerOver(transport, { callbacks })`. The peers of
 * `viaduct/browser/hub` have them.
 */

export { asCallback, type Callbacks } from './contract/callbacks.ts'
export { type CallbackSides, callbacks } from './core/callbacks.ts'
export type { Callback, KeepOptions } from './core/references.ts'
