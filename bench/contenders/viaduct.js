import { notBuilt } from '../lib/optional.js'

/**
 * Viaduct from one peer to another over a Unix socket: once with validation off, once with the schemas of
 * `lib/schemas.js` checked at the callee.
 *
 * To be written when the API is there: set WRITTEN, and fill in `serve` and `connect` (`lib/contender.js` says
 * what they give; import viaduct inside them). The defaults of the library are to stay on: deadlines, errors,
 * identity, bounds.
 */

const WRITTEN = false

/** @param {string} name @param {boolean} validated @returns {import('../lib/contender.js').Contender} */
function viaduct(name, validated) {
  return {
    name,
    kind: 'direct',
    ours: true,
    workloads: ['W1', 'W2', 'W3', 'W4', 'W4.10MB', 'W4.100MB', 'W7'],
    unavailable: () => notBuilt(WRITTEN),
    async serve(_env, _handlers) {
      throw new Error(`serving ${validated ? 'with' : 'without'} validation is not written yet`)
    },
    async connect(_env) {
      throw new Error(`calling ${validated ? 'with' : 'without'} validation is not written yet`)
    },
  }
}

export default [viaduct('viaduct', false), viaduct('viaduct zod', true)]
