import { notBuilt } from '../lib/optional.js'

/**
 * Viaduct from one peer through a hub to another: once with validation off, once with the schemas of
 * `lib/schemas.js` checked at the callee. The hub has a manifest and admits both peers by their keys.
 */

const APP = 'bench'

/** @param {string} name @param {boolean} validate @returns {import('../lib/contender.js').Contender} */
function viaductHub(name, validate) {
  return {
    name,
    kind: 'hub',
    ours: true,
    workloads: ['W1', 'W2', 'W3', 'W4', 'W4.10MB', 'W4.100MB', 'W7'],
    unavailable: () => notBuilt(true),
    async hub(env) {
      const { Hub, manifest } = await import('viaduct')
      const rules = manifest({
        caller: { join: true, zone: 'trusted', call: [{ method: 'bench.*', to: 'callee' }] },
        callee: { join: true, zone: 'trusted' },
      })
      const hub = await Hub.listen({ app: APP, base: env.dir, manifest: rules })
      return { close: () => hub.close() }
    },
    async serve(env, handlers) {
      const { join } = await import('viaduct')
      const { makeContract, serveBench } = await import('../lib/contract.js')
      const bench = await makeContract(env.workload, validate)
      const peer = await join({ app: APP, id: 'callee', base: env.dir, ready: false, reconnect: false })
      serveBench(peer, bench, handlers, validate)
      await peer.ready()
      return { close: () => peer.close() }
    },
    async connect(env) {
      const { join } = await import('viaduct')
      const { benchClient, makeContract } = await import('../lib/contract.js')
      const bench = await makeContract(env.workload, validate)
      const peer = await join({ app: APP, id: 'caller', base: env.dir, reconnect: false })
      return /** @type {any} */ ({ ...benchClient(peer, bench, { id: 'callee' }), close: () => peer.close() })
    },
  }
}

export default [viaductHub('viaduct-hub', false), viaductHub('viaduct-hub zod', true)]
