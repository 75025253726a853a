import { closeSync, openSync, watch, writeSync } from 'node:fs'
import { join } from 'node:path'
import { binaryOf, RUNTIMES } from '../../test/nodes/runtimes.js'

/**
 * SQLite with a write-ahead log synced at each commit. A queue is one table, of which the consumer deletes what it has
 * handled. Faster, but it never forgets: messages in one database, handled ones in another, so that producer and
 * consumer do not wait for each other's lock, and no row is ever deleted. After a commit the producer writes a byte to a
 * file that the consumer watches: what the database's own files tell comes before the commit can be read. It takes
 * `node:sqlite`, which a newer Node has than ours may be.
 */

const SQLITE = 'node:sqlite'
const LOOK_MS = 20
const AT_ONCE = 256

function newerNode() {
  const runtime = RUNTIMES.find(({ name, version }) => name === 'node' && version.startsWith('24.'))
  if (!runtime) throw new Error('no newer Node is known')
  return binaryOf(runtime)
}

const hasSqlite = process.getBuiltinModule?.(SQLITE) !== undefined

/** @param {string} path @param {string} table */
async function openDatabase(path, table) {
  const { DatabaseSync } = await import(SQLITE)
  const database = new DatabaseSync(path)
  database.exec('PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  database.exec(`CREATE TABLE IF NOT EXISTS ${table}`)
  return database
}

/** @param {string} dir */
const messagesIn = (dir) =>
  openDatabase(join(dir, 'messages.db'), 'message (id INTEGER PRIMARY KEY, body TEXT)')
/** @param {string} dir */
const handledIn = (dir) => openDatabase(join(dir, 'handled.db'), 'handled (id INTEGER PRIMARY KEY)')

/** @param {string} dir */
const hintIn = (dir) => join(dir, 'hint')

/**
 * @param {string} name @param {{ grouped: boolean, deletes?: boolean }} how
 * @returns {import('../lib/contender.js').Contender}
 */
function sqlite(name, { grouped, deletes = false }) {
  const where = deletes ? 'handled messages are deleted' : 'handled messages stand in a second database'
  return {
    name,
    survives: 'power loss',
    kind: 'mailbox',
    workloads: ['W6'],
    note: `${where}${hasSqlite ? '' : '; on Node 24, for node:sqlite'}`,
    node: hasSqlite ? undefined : newerNode,
    async unavailable() {
      if (!hasSqlite) newerNode()
      return undefined
    },
    /** @param {import('../lib/contender.js').Env} env @param {import('../lib/contender.js').Consumer} consumer */
    async serve(env, consumer) {
      const messages = await messagesIn(env.dir)
      const handled = deletes ? messages : await handledIn(env.dir)
      const select = messages.prepare('SELECT id, body FROM message WHERE id > ? ORDER BY id LIMIT ?')
      const mark = handled.prepare(
        deletes ? 'DELETE FROM message WHERE id = ?' : 'INSERT INTO handled VALUES (?)',
      )
      let last = 0
      let isLooking = false
      let closed = false

      async function look() {
        if (isLooking) return
        isLooking = true
        while (!closed) {
          const rows = select.all(last, AT_ONCE)
          if (rows.length === 0) break
          // Numbers of rows that are deleted are given again.
          if (!deletes) last = rows.at(-1).id
          await Promise.all(rows.map(({ body }) => consumer.deliver(JSON.parse(body))))
          if (grouped) {
            handled.exec('BEGIN IMMEDIATE')
            for (const { id } of rows) mark.run(id)
            handled.exec('COMMIT')
            consumer.acknowledged(rows.length)
          } else {
            for (const { id } of rows) {
              mark.run(id)
              consumer.acknowledged()
            }
          }
          // A program that never lets its loop turn is no program.
          await new Promise((resolve) => setImmediate(resolve))
        }
        isLooking = false
      }
      closeSync(openSync(hintIn(env.dir), 'a'))
      const watcher = watch(hintIn(env.dir), look)
      const timer = setInterval(look, LOOK_MS)
      return {
        close() {
          closed = true
          watcher.close()
          clearInterval(timer)
          messages.close()
          if (handled !== messages) handled.close()
        },
      }
    },
    async connect(env) {
      const database = await messagesIn(env.dir)
      const insert = database.prepare('INSERT INTO message (body) VALUES (?)')
      /** @type {{ body: string, stored(): void }[]} */
      let waiting = []
      const hint = openSync(hintIn(env.dir), 'r+')

      function commit() {
        const group = waiting
        waiting = []
        database.exec('BEGIN IMMEDIATE')
        for (const { body } of group) insert.run(body)
        database.exec('COMMIT')
        writeSync(hint, '1', 0)
        for (const { stored } of group) stored()
      }
      return /** @type {any} */ ({
        /** @param {object} mail */
        async enqueue(mail) {
          if (!grouped) {
            insert.run(JSON.stringify(mail))
            writeSync(hint, '1', 0)
            // Each commit holds up the whole loop: it turns, so that acknowledgements are read.
            return new Promise((resolve) => setImmediate(resolve))
          }
          return new Promise((resolve) => {
            if (waiting.length === 0) setImmediate(commit)
            waiting.push({ body: JSON.stringify(mail), stored: () => resolve(undefined) })
          })
        },
        close() {
          database.close()
          closeSync(hint)
        },
      })
    },
  }
}

export default [
  sqlite('sqlite queue grouped', { grouped: true, deletes: true }),
  sqlite('sqlite full grouped', { grouped: true }),
  sqlite('sqlite full each', { grouped: false }),
]
