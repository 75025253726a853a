import { fork } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { holdItems } from './lib/drivers.js'
import { enqueueingAlone, makeConsumer } from './lib/durable.js'
import { makeCallee } from './lib/handlers.js'
import { forgetPeak, peakBytes, residentBytes, usage } from './lib/usage.js'
import { WORKLOADS } from './lib/workloads.js'

/**
 * One process of one contender: `worker.js CONTROL DIR FILE NAME WORKLOAD ROLE`, where ROLE is hub, callee or
 * caller. It does what the runner says over the control socket and ends when that closes.
 */

const [control, dir, file, name, workloadId, role] = process.argv.slice(2)
const workload = WORKLOADS[workloadId]

/** @type {import('./lib/contender.js').Env} */
const env = {
  dir,
  socket: join(dir, 's'),
  workload: workloadId,
  forkCallee: (options) =>
    fork(fileURLToPath(import.meta.url), [control, dir, file, name, workloadId, 'callee'], options),
}

/** @type {import('./lib/contender.js').Contender} */
const contender = [(await import(file)).default].flat().find((one) => one.name === name)
const callee = workload.shape === 'durable' && role === 'callee' ? makeConsumer(dir) : makeCallee()
/** @type {any} what `hub`, `serve` or `connect` gave */
let open
/** @type {ReturnType<typeof usage>} */
let used
let residentAtMark = 0
/** @type {Awaited<ReturnType<typeof holdItems>> | undefined} */
let held

/** @type {Record<string, (message: any) => unknown>} */
const operations = {
  async open() {
    if (role === 'hub') open = await contender.hub?.(env)
    else if (role === 'callee') open = await contender.serve(env, callee.handlers)
    else open = await contender.connect(env)
    return { pid: open?.pid }
  },
  /** From here on processor time and memory are counted. */
  mark() {
    forgetPeak(open?.pid)
    residentAtMark = residentBytes(open?.pid)
    used = usage(open?.pid)
  },
  used() {
    const cpuUs = used.cpuUs()
    const peak = peakBytes(open?.pid)
    return { cpuUs, peakRssBytes: peak, rssGrowthBytes: Math.max(0, peak - residentAtMark) }
  },
  warm: ({ ms }) => workload.warm(open, ms, dir),
  run: ({ ms }) => workload.run(open, ms, dir),
  alone: ({ ms }) => enqueueingAlone(open, ms, dir),
  latency: () => callee.latency(),
  async hold({ count }) {
    held = await holdItems(open, count)
    return held.read
  },
  breakOff: () => held?.stop(),
  reset: () => callee.reset(),
  state: () => callee.state(),
  async close() {
    await open?.close()
  },
}

const socket = connect(control)
socket.on('error', () => process.exit(1))
socket.on('close', () => process.exit(0))
socket.write(`${JSON.stringify({ hello: { key: `${dir} ${role}`, pid: process.pid } })}\n`)

createInterface({ input: socket }).on('line', async (line) => {
  const message = JSON.parse(line)
  try {
    const value = await operations[message.op](message)
    socket.write(`${JSON.stringify({ id: message.id, value })}\n`)
  } catch (error) {
    socket.write(`${JSON.stringify({ id: message.id, error: described(error) })}\n`)
  }
})

// A failure outside a command: the runner sees the process end and reads why on standard error.
process.on('uncaughtException', fail)
process.on('unhandledRejection', fail)

/** @param {unknown} error */
function fail(error) {
  process.stderr.write(`${described(error)}\n`)
  process.exit(1)
}

/** @param {unknown} error */
function described(error) {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
