/**
 * Besides `viaduct/browser`, what travels beside the input of a call for policies at both ends, as `trace` and `dedupe`:
 * `peerOver(transport, { marks })`. The peers of `viaduct/browser/full` and `viaduct/browser/hub` have it.
 */

export type { CallMarks } from './core/callHead.ts'
export { type Marks, marks } from './page/marks.ts'
