import { watch } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * A folder of files by hand, as one does it: written beside and renamed into place; listed, read, handled and
 * removed. A removal is never synced.
 */

const AT_ONCE = 64
const LOOK_MS = 20

/**
 * @param {string} name @param {string} survives @param {{ file: boolean, folder: boolean }} syncs
 * @returns {import('../lib/contender.js').Contender}
 */
function maildir(name, survives, syncs) {
  return {
    name,
    survives,
    kind: 'mailbox',
    workloads: ['W6'],
    /** @param {import('../lib/contender.js').Env} env @param {import('../lib/contender.js').Consumer} consumer */
    async serve(env, consumer) {
      const folder = join(env.dir, 'new')
      await mkdir(folder)
      await mkdir(join(env.dir, 'tmp'))
      let isLooking = false
      let again = false
      let closed = false

      async function look() {
        again = true
        if (isLooking) return
        isLooking = true
        while (again && !closed) {
          again = false
          const names = (await readdir(folder)).sort().values()
          await Promise.all(Array.from({ length: AT_ONCE }, () => take(names)))
        }
        isLooking = false
      }
      /** @param {Iterable<string>} names shared by all who take of them */
      async function take(names) {
        for (const name of names) {
          const path = join(folder, name)
          await consumer.deliver(JSON.parse(await readFile(path, 'utf8')))
          await unlink(path)
          consumer.acknowledged()
          again = true
        }
      }

      const watcher = watch(folder, look)
      const timer = setInterval(look, LOOK_MS)
      return {
        close() {
          closed = true
          watcher.close()
          clearInterval(timer)
        },
      }
    },
    async connect(env) {
      const directory = await open(join(env.dir, 'new'))
      return /** @type {any} */ ({
        /** @param {import('../lib/payload.js').Args} mail */
        async enqueue(mail) {
          const name = `${String(mail.seq).padStart(12, '0')}.json`
          const path = join(env.dir, 'tmp', name)
          const file = await open(path, 'wx')
          await file.writeFile(JSON.stringify(mail))
          if (syncs.file) await file.sync()
          await file.close()
          await rename(path, join(env.dir, 'new', name))
          if (syncs.folder) await directory.sync()
        },
        close: () => directory.close(),
      })
    },
  }
}

export default [
  maildir('maildir', 'process crash', { file: false, folder: false }),
  maildir('maildir fsync', 'power loss (name: not)', { file: true, folder: false }),
  maildir('maildir fsync+folder', 'power loss (ack: not)', { file: true, folder: true }),
]
