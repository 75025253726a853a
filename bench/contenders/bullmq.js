import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fetchPackages, importFetched } from '../lib/fetched.js'

/** BullMQ on a Redis of its own, over a Unix socket, with an append-only file. */

const PACKAGES = { bullmq: '6.7.0', ioredis: '6.0.0' }
const INSTALL = 'apt-get install -y --no-install-recommends redis-server'
const QUEUE = 'bench'
const CONCURRENCY = 64

function serverProgram() {
  return [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin']
    .map((folder) => join(folder, 'redis-server'))
    .find((path) => existsSync(path))
}

/** @param {string} name @param {string} survives @param {'always' | 'everysec'} fsync
 * @returns {import('../lib/contender.js').Contender} */
function bullmq(name, survives, fsync) {
  return {
    name,
    survives,
    kind: 'mailbox',
    workloads: ['W6'],
    note: 'Redis is no Node process; 64 handlers at once, jobs removed when done',
    async unavailable() {
      if (!serverProgram()) return `redis-server is not installed; on Debian run: ${INSTALL}`
      return fetchPackages(PACKAGES)
    },
    async hub(env) {
      const config = join(env.dir, 'redis.conf')
      writeFileSync(
        config,
        [
          'port 0',
          `unixsocket ${env.socket}`,
          'unixsocketperm 700',
          `dir ${env.dir}`,
          'daemonize no',
          'save ""',
          'appendonly yes',
          `appendfsync ${fsync}`,
          'maxmemory-policy noeviction',
          '',
        ].join('\n'),
      )
      const server = spawn(/** @type {string} */ (serverProgram()), [config], { stdio: 'ignore' })
      process.once('exit', () => server.kill())
      const ended = once(server, 'exit')
      for (let tries = 0; tries < 200 && !existsSync(env.socket); tries++) {
        if (server.exitCode !== null) throw new Error('redis-server ended')
        await sleep(25)
      }
      return {
        pid: server.pid,
        async close() {
          server.kill()
          await ended
        },
      }
    },
    /** @param {import('../lib/contender.js').Env} env @param {import('../lib/contender.js').Consumer} consumer */
    async serve(env, consumer) {
      const { Worker } = await importFetched(PACKAGES, 'bullmq')
      const worker = new Worker(QUEUE, (/** @type {any} */ job) => consumer.deliver(job.data), {
        connection: { path: env.socket, maxRetriesPerRequest: null },
        concurrency: CONCURRENCY,
      })
      worker.on('completed', () => consumer.acknowledged())
      worker.on('error', () => {})
      await worker.waitUntilReady()
      return { close: () => worker.close(true) }
    },
    async connect(env) {
      const { Queue } = await importFetched(PACKAGES, 'bullmq')
      const queue = new Queue(QUEUE, {
        connection: { path: env.socket },
        defaultJobOptions: { removeOnComplete: true },
      })
      queue.on('error', () => {})
      await queue.waitUntilReady()
      return /** @type {any} */ ({
        /** @param {object} mail */
        enqueue: (mail) => queue.add('note', mail),
        close: () => queue.close(),
      })
    },
  }
}

export default [
  bullmq('bullmq everysec', 'power loss, but a second', 'everysec'),
  bullmq('bullmq always', 'power loss', 'always'),
]
