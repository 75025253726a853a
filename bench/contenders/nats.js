import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { missing } from '../lib/optional.js'

/** NATS: its server on a free port of 127.0.0.1, request/reply for calls, publish for one-way. */

const INSTALL = 'apt-get install -y --no-install-recommends nats-server'
const MAX_PAYLOAD = 8 * 1024 * 1024
/** After so many messages a round trip to the server is asked for; the one before must have come back. */
const FLUSH_EVERY = 256
const TIMEOUT_MS = 30_000

function serverProgram() {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders
    .map((folder) => join(folder, 'nats-server'))
    .find((path) => {
      try {
        accessSync(path)
        return true
      } catch {
        return false
      }
    })
}

/** @param {import('../lib/contender.js').Env} env */
async function connectTo(env) {
  const { connect } = await import('@nats-io/transport-node')
  return connect({ servers: readFileSync(join(env.dir, 'address'), 'utf8'), reconnect: false })
}

/** @type {import('../lib/contender.js').Contender} */
export default {
  name: 'nats',
  kind: 'hub',
  workloads: ['W1', 'W2', 'W3', 'W4'],
  note: 'over TCP, its server not a Node process; publishing waits for a flush each 256 messages',
  async unavailable() {
    if (!serverProgram()) return `nats-server is not installed; on Debian run: ${INSTALL}`
    return missing('@nats-io/transport-node')
  },
  async hub(env) {
    const config = join(env.dir, 'nats.conf')
    writeFileSync(
      config,
      `listen: "127.0.0.1:-1"\nmax_payload: ${MAX_PAYLOAD}\nports_file_dir: ${JSON.stringify(env.dir)}\n`,
    )
    const server = spawn(/** @type {string} */ (serverProgram()), ['-c', config], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    process.once('exit', () => server.kill())
    const ended = once(server, 'exit')
    for (let tries = 0; tries < 200; tries++) {
      const ports = readdirSync(env.dir).find((name) => name.endsWith('.ports'))
      const text = ports && readFileSync(join(env.dir, ports), 'utf8')
      if (text) {
        writeFileSync(join(env.dir, 'address'), JSON.parse(text).nats[0])
        return {
          pid: server.pid,
          async close() {
            server.kill()
            await ended
          },
        }
      }
      if (server.exitCode !== null) break
      await sleep(25)
    }
    server.kill()
    throw new Error('nats-server did not say where it listens')
  },
  async serve(env, handlers) {
    const connection = await connectTo(env)
    connection.subscribe('request', {
      callback(_error, message) {
        handlers.request(message.json()).then((reply) => message.respond(JSON.stringify(reply)))
      },
    })
    connection.subscribe('echo', {
      callback(_error, message) {
        handlers.echo(message.data).then((bytes) => message.respond(bytes))
      },
    })
    connection.subscribe('notify', {
      callback(_error, message) {
        handlers.notify(message.json())
      },
    })
    await connection.flush()
    return { close: () => connection.close() }
  },
  async connect(env) {
    const connection = await connectTo(env)
    let published = 0
    /** @type {Promise<void>} */
    let flushed = Promise.resolve()
    return /** @type {any} */ ({
      /** @param {object} args */
      async request(args) {
        return (await connection.request('request', JSON.stringify(args), { timeout: TIMEOUT_MS })).json()
      },
      /** @param {Uint8Array} bytes */
      async echo(bytes) {
        return (await connection.request('echo', bytes, { timeout: TIMEOUT_MS })).data
      },
      /** @param {object} args */
      notify(args) {
        connection.publish('notify', JSON.stringify(args))
        if (++published % FLUSH_EVERY !== 0) return
        const before = flushed
        flushed = connection.flush()
        return before
      },
      close: () => connection.close(),
    })
  },
}
