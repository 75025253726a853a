import { join } from 'node:path'
import { notBuilt } from '../lib/optional.js'

/** Viaduct's mailbox in both stores, each at both durabilities: default options, but as many handlers as others have. */

const MAILBOX = 'viaduct/mailbox'
const CONCURRENCY = 64
/** How often its statistics are read: they cost too much to be read for each message. */
const LOOK_MS = 5

/**
 * @param {string} name @param {'log' | 'folder'} store @param {'power-loss' | 'process-crash'} durability
 * @returns {import('../lib/contender.js').Contender}
 */
function viaductMailbox(name, store, durability) {
  /** @param {import('../lib/contender.js').Env} env */
  async function openMailbox(env) {
    const { Mailbox } = await import(MAILBOX)
    return Mailbox.open({ root: join(env.dir, 'ipc'), group: 'bench', store, durability })
  }
  return {
    name,
    survives: durability.replace('-', ' '),
    kind: 'mailbox',
    ours: true,
    workloads: ['W6'],
    unavailable: () => notBuilt(true, MAILBOX),
    /** @param {import('../lib/contender.js').Env} env @param {import('../lib/contender.js').Consumer} consumer */
    async serve(env, consumer) {
      const mailbox = await openMailbox(env)
      const receiver = await mailbox.receive((/** @type {any} */ { payload }) => consumer.deliver(payload), {
        concurrency: CONCURRENCY,
      })
      await receiver.ready
      let acknowledged = 0
      // It counts a message as done once the journal has it as durable as asked.
      const timer = setInterval(() => {
        const { done } = receiver.stats()
        if (done > acknowledged) consumer.acknowledged(done - acknowledged)
        acknowledged = done
      }, LOOK_MS)
      return {
        close() {
          clearInterval(timer)
          return mailbox.close()
        },
      }
    },
    async connect(env) {
      const mailbox = await openMailbox(env)
      return /** @type {any} */ ({
        /** @param {object} mail */
        enqueue: (mail) => mailbox.send('note', mail),
        close: () => mailbox.close(),
      })
    },
  }
}

export default [
  viaductMailbox('viaduct log', 'log', 'power-loss'),
  viaductMailbox('viaduct log crash', 'log', 'process-crash'),
  viaductMailbox('viaduct folder', 'folder', 'power-loss'),
  viaductMailbox('viaduct folder crash', 'folder', 'process-crash'),
]
