import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { notBuilt } from '../lib/optional.js'

/**
 * Viaduct from one peer to another over a Unix socket: once with validation off, once with the schemas of
 * `lib/schemas.js` checked at the callee. The library's defaults are on: deadlines, errors, bounds.
 */

/** @param {string} name @param {boolean} validate @returns {import('../lib/contender.js').Contender} */
function viaduct(name, validate) {
  return {
    name,
    kind: 'direct',
    ours: true,
    workloads: ['W1', 'W2', 'W3', 'W4', 'W4.10MB', 'W4.100MB', 'W7'],
    unavailable: () => notBuilt(true),
    async serve(env, handlers) {
      const { peerOver, socketTransport } = await import('viaduct')
      const { makeContract, serveBench } = await import('../lib/contract.js')
      const bench = await makeContract(env.workload, validate)
      const server = createServer((socket) => {
        serveBench(peerOver(socketTransport(socket)), bench, handlers, validate)
      })
      await new Promise((resolve) => server.listen(env.socket, () => resolve(undefined)))
      return {
        close() {
          server.close()
          rmSync(env.socket, { force: true })
        },
      }
    },
    async connect(env) {
      const { openSocket, peerOver } = await import('viaduct')
      const { benchClient, makeContract } = await import('../lib/contract.js')
      const bench = await makeContract(env.workload, validate)
      const peer = peerOver(openSocket({ path: env.socket }).transport)
      await peer.ping()
      return /** @type {any} */ ({ ...benchClient(peer, bench), close: () => peer.close() })
    },
  }
}

export default [viaduct('viaduct', false), viaduct('viaduct zod', true)]
