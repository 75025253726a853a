import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { listenControl } from './control.js'

/**
 * Starts the fresh processes of one contender for one workload and one round, and ends them by their ids. Every
 * socket lives in one private folder, which goes when the theatre closes.
 *
 * @typedef {import('./control.js').Remote} Remote
 * @typedef {object} Stage
 * @property {Remote} caller
 * @property {Remote} callee
 * @property {Remote | undefined} hub
 * @property {Remote[]} all
 */

const WORKER = fileURLToPath(new URL('../worker.js', import.meta.url))
const START_MS = 15_000
const END_MS = 2_000

export async function openTheatre() {
  const root = mkdtempSync(join(tmpdir(), 'viaduct-bench-'))
  const control = join(root, 'control')
  let plays = 0
  let isClosing = false
  /** @type {Map<string, (remote: Remote) => void>} */
  const expected = new Map()
  /** Ids of everything that was started and has not ended. @type {Set<number>} */
  const pids = new Set()

  const server = await listenControl(control, (remote) => {
    pids.add(remote.pid)
    remote.gone.then(() => pids.delete(remote.pid))
    expected.get(remote.key)?.(remote)
  })

  return {
    /**
     * @template T
     * @param {import('./contender.js').Contender} contender
     * @param {string} file
     * @param {string} workload
     * @param {(stage: Stage) => Promise<T>} play
     * @returns {Promise<T>}
     */
    async perform(contender, file, workload, play) {
      const dir = join(root, String(++plays))
      mkdirSync(dir, { mode: 0o700 })
      /** @type {Remote[]} */
      const all = []
      /** @type {number[]} */
      const servers = []
      let heard = ''

      /** @param {string} role @returns {Promise<Remote>} */
      function hello(role) {
        return new Promise((resolve) => {
          expected.set(`${dir} ${role}`, (remote) => {
            all.push(remote)
            resolve(remote)
          })
        })
      }
      /** @param {string} role @returns {Promise<Remote>} */
      function start(role) {
        const args = [WORKER, control, dir, file, contender.name, workload, role]
        const child = spawn(contender.node?.() ?? process.execPath, args, {
          stdio: ['ignore', 'ignore', 'pipe'],
        })
        child.stderr.on('data', (text) => {
          heard = (heard + text).slice(-4000)
        })
        if (child.pid !== undefined) pids.add(child.pid)
        child.on('exit', () => pids.delete(child.pid ?? 0))
        return Promise.race([
          hello(role),
          new Promise((_, reject) => child.on('exit', () => reject(new Error(`the ${role} did not start`)))),
        ])
      }
      /** @param {Remote} remote */
      async function open(remote) {
        const { pid } = await remote.ask('open')
        if (pid === undefined) return
        pids.add(pid)
        servers.push(pid)
      }
      /** @returns {Promise<Stage>} */
      async function curtain() {
        if (contender.forksCallee) {
          const calleeStarts = hello('callee')
          const caller = await start('caller')
          const [callee] = await Promise.all([calleeStarts, open(caller)])
          await open(callee)
          return { caller, callee, hub: undefined, all }
        }
        const [hub, callee, caller] = await Promise.all([
          contender.hub ? start('hub') : undefined,
          start('callee'),
          start('caller'),
        ])
        if (hub) await open(hub)
        await open(callee)
        await open(caller)
        return { caller, callee, hub, all }
      }

      try {
        return await play(await within(START_MS, 'starting', curtain()))
      } catch (error) {
        // Being interrupted is no failure of the contender: the program ends when all has been cleared away.
        if (isClosing) await new Promise(() => {})
        const message = error instanceof Error ? error.message : String(error)
        throw new Error(heard && !message.includes(heard.trim()) ? `${message}\n${heard.trim()}` : message)
      } finally {
        for (const role of ['hub', 'callee', 'caller']) expected.delete(`${dir} ${role}`)
        // The caller first, so that nobody loses a far end that it still needs.
        let isClean = true
        for (const remote of [...all].reverse())
          await within(END_MS, 'closing', remote.ask('close')).catch(() => {
            isClean = false
          })
        for (const pid of servers) {
          if (!isClean) endProcess(pid)
          pids.delete(pid)
        }
        // Only what still runs: an id that was given back may be another's by now.
        for (const { pid } of all) if (pids.has(pid)) endProcess(pid)
        await within(END_MS, 'ending', Promise.all(all.map((remote) => remote.gone))).catch(() => {})
        rmSync(dir, { recursive: true, force: true })
      }
    },
    /** Every process ends when its control socket closes; what does not, is ended after `graceMs`. */
    async close(graceMs = 300) {
      isClosing = true
      server.close()
      const until = performance.now() + graceMs
      while (pids.size > 0 && performance.now() < until) await sleep(10)
      for (const pid of pids) endProcess(pid)
      pids.clear()
      rmSync(root, { recursive: true, force: true })
    },
  }
}

/** @param {number} pid */
function endProcess(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended already.
  }
}

/** @template T @param {number} ms @param {string} what @param {Promise<T>} promise @returns {Promise<T>} */
export async function within(ms, what, promise) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${ms} ms`)), ms)
  })
  try {
    return /** @type {T} */ (await Promise.race([promise, late]))
  } finally {
    clearTimeout(timer)
  }
}
