import { join } from 'node:path'
import { appendLog, followLog } from '../lib/appendLog.js'

/**
 * The floor of W6: an append log with group commit that a second process follows, without any feature. Once a
 * handled message is acknowledged by nothing, once by a mark in a log of the consumer's own.
 *
 * @param {string} name @param {string} survives
 * @param {{ how: 'sync' | 'block' | 'none', marks: boolean, note?: string }} options
 * @returns {import('../lib/contender.js').Contender}
 */
function logFloor(name, survives, { how, marks, note }) {
  return {
    name,
    survives,
    note,
    kind: 'mailbox',
    workloads: ['W6'],
    /** @param {import('../lib/contender.js').Env} env @param {import('../lib/contender.js').Consumer} consumer */
    async serve(env, consumer) {
      const done = marks ? appendLog(join(env.dir, 'done'), how) : undefined
      const reader = followLog(join(env.dir, 'log'), async (text) => {
        const mail = JSON.parse(text)
        await consumer.deliver(mail)
        await done?.append(String(mail.seq))
        consumer.acknowledged()
      })
      return {
        close() {
          reader.close()
          done?.close()
        },
      }
    },
    async connect(env) {
      const log = appendLog(join(env.dir, 'log'), how)
      return /** @type {any} */ ({
        /** @param {object} mail */
        enqueue: (mail) => log.append(JSON.stringify(mail)),
        close: () => log.close(),
      })
    },
  }
}

export default [
  logFloor('log-floor', 'power loss (ack: nothing)', { how: 'sync', marks: false }),
  logFloor('log-floor acknowledged', 'power loss', { how: 'sync', marks: true }),
  logFloor('log-floor blocking', 'power loss', {
    how: 'block',
    marks: true,
    note: 'acknowledged; nothing else runs in its process while the disk works, as in SQLite',
  }),
  logFloor('log-floor unsynced', 'process crash', { how: 'none', marks: true }),
]
