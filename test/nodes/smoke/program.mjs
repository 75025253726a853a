/**
 * One role of a smoke test, in whatever runtime runs this: `program.mjs ROLE [APP BASE]`. Ends with code 0, or
 * with what was wrong on stderr. SMOKE_RUN has the command and arguments that run a program in this runtime.
 */
import { MessageChannel, Worker } from 'node:worker_threads'
import { connectPeers, Hub, join, peerOver, portTransport } from 'viaduct'
import { exercise, rules, serveSmoke } from './service.mjs'
import { runSuites } from './suites.mjs'

const [role = '', app = '', base = ''] = process.argv.slice(2)
const program = import.meta.filename

/** A hub with a child in this runtime; both are exercised. */
async function family(hub) {
  try {
    const [command, ...args] = JSON.parse(process.env.SMOKE_RUN ?? '[]')
    await hub.supervise('child-1', { type: 'child', run: [command, ...args, program, 'child'] })
    await hub.whenReady('child-1')
    await exercise(hub.peer, { id: 'child-1' })
    const [before] = await hub.children()
    await hub.kill('child-1')
    const until = Date.now() + 15_000
    for (;;) {
      const [now] = await hub.children()
      if (now.state === 'ready' && now.pid !== before.pid) break
      if (Date.now() > until) throw new Error(`restart: after 15 s the child is ${now.state}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await exercise(hub.peer, { type: 'child' })
  } finally {
    await hub.close()
  }
}

const roles = {
  async memory() {
    const [near, far] = connectPeers()
    serveSmoke(far)
    await exercise(near, undefined)
    near.close()
  },
  async port() {
    const worker = new Worker(new URL('worker.mjs', import.meta.url))
    const peer = peerOver(portTransport(worker))
    await exercise(peer, undefined)
    peer.close()
    await worker.terminate()
    const { port1, port2 } = new MessageChannel()
    const [near, far] = [peerOver(portTransport(port1)), peerOver(portTransport(port2))]
    serveSmoke(far)
    await exercise(near, undefined)
    near.close()
  },
  /** Joins a hub that runs elsewhere, calls its peer, and serves it. */
  async client() {
    const peer = await join({ app, id: 'guest', base })
    serveSmoke(peer)
    await exercise(peer, { id: 'main' })
    // The other direction is the hub's to try: it calls `guest` when asked to.
    await peer.call('smoke.turn', undefined, { target: { id: 'main' }, timeoutMs: 60_000 })
    peer.close()
  },
  /** A hub that stays until its stdin ends. */
  async hub() {
    const hub = await Hub.listen({ app, base, manifest: rules, log: () => {} })
    serveSmoke(hub.peer)
    hub.peer.handle('smoke.turn', () => exercise(hub.peer, { id: 'guest' }))
    process.stdout.write('up\n')
    process.stdin.resume()
    await new Promise((resolve) => process.stdin.once('end', resolve))
    await hub.close()
  },
  async child() {
    serveSmoke(await join())
    await new Promise(() => {})
  },
  suites: () => runSuites(),
  family: async () => family(await Hub.listen({ app, base, manifest: rules, log: () => {} })),
  launch: async () => family(await Hub.launch({ app, base, manifest: rules, log: () => {} })),
}

// Memory keeps no process alive, and neither does a deadline.
setInterval(() => {}, 60_000)
await roles[role]()
process.exit(0)
