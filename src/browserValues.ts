/**
 * Besides `viaduct/browser`, the kinds of values beyond those of JSON, dates and binaries: bigints, maps, sets and errors,
 * as `peerOver(transport, { values })`. The peers of `viaduct/browser/full` and `viaduct/browser/hub` have them.
 */

export { type Values, values } from './page/values.ts'
