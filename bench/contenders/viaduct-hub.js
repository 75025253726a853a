import { notBuilt } from '../lib/optional.js'

/**
 * Viaduct from one peer through a hub to another: once with validation off, once with the schemas of
 * `lib/schemas.js` checked at the callee.
 *
 * To be written when the API is there: set WRITTEN, and fill in `hub`, `serve` and `connect`
 * (`lib/contender.js` says what they give; import viaduct inside them). The hub has a manifest and admits both
 * peers as in any program; its runtime folder is `env.dir`.
 */

const WRITTEN = false

/** @param {string} name @param {boolean} validated @returns {import('../lib/contender.js').Contender} */
function viaductHub(name, validated) {
  return {
    name,
    kind: 'hub',
    ours: true,
    workloads: ['W1', 'W2', 'W3', 'W4', 'W4.10MB', 'W4.100MB', 'W7'],
    unavailable: () => notBuilt(WRITTEN),
    async hub(_env) {
      throw new Error('the hub is not written yet')
    },
    async serve(_env, _handlers) {
      throw new Error(`serving ${validated ? 'with' : 'without'} validation is not written yet`)
    },
    async connect(_env) {
      throw new Error(`calling ${validated ? 'with' : 'without'} validation is not written yet`)
    },
  }
}

export default [viaductHub('viaduct-hub', false), viaductHub('viaduct-hub zod', true)]
