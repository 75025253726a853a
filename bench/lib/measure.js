import { setTimeout as sleep } from 'node:timers/promises'
import { within } from './stage.js'
import { ITEMS } from './workloads.js'

/**
 * One round of one contender: warm up, wait until all is quiet, count.
 *
 * @typedef {object} Figures
 * @property {number} rate in the workload's unit
 * @property {number} done
 * @property {number} elapsedMs
 * @property {number} cpuUs of all processes together, for one operation; null in files where unknown
 * @property {number} peakRssBytes of all processes together, within the window
 * @property {number} rssGrowthBytes above what they had when it began
 * @property {number} [p50Us]
 * @property {number} [p99Us]
 * @property {number} [storedP50Us] W6: from the call of enqueue until it is stored; p50Us and p99Us until the handler
 * @property {number} [aloneP50Us] W6: until the handler, one message at a time
 * @property {number} [lost] W3
 * @property {number} [producedWhilePaused] W7: how far the generator ran ahead of a reader that had stopped reading
 * @property {boolean} [stillProducing] W7: it was running on when looked at last
 * @property {boolean} [stoppedOnBreak] W7
 *
 * @typedef {import('./stage.js').Stage} Stage
 * @typedef {import('./workloads.js').Workload} Workload
 */

const SLACK_MS = 30_000
const SETTLE_MS = 1_000
const PAUSE_MS = 120
const ALONE_MS = 300

/** @param {Stage} stage @param {Workload} workload @param {{ warmMs: number, windowMs: number }} settings
 * @returns {Promise<Figures>} */
export async function measureRound(stage, workload, { warmMs, windowMs }) {
  const { caller, callee } = stage
  const isDurable = workload.shape === 'durable'
  const isOneWay = workload.shape === 'oneWay' || isDurable

  const warm = await within(warmMs + SLACK_MS, 'warming up', caller.ask('warm', { ms: warmMs }))
  const warmed = isOneWay ? await settled(stage, warm.done) : undefined
  if (isDurable) checkAll(warmed, warm)
  await callee.ask('reset')
  for (const remote of stage.all) await remote.ask('mark')

  const run = await within(windowMs + SLACK_MS, 'the window', caller.ask('run', { ms: windowMs }))
  const state = isOneWay ? await settled(stage, run.done) : undefined
  if (isDurable) checkAll(state, run)

  let cpuUs = isOneWay ? 0 : run.cpuUs
  let peakRssBytes = 0
  let rssGrowthBytes = 0
  for (const remote of stage.all) {
    const used = await remote.ask('used')
    // The caller's own reading ends with its window; one-way messages may still leave it after that.
    if (remote !== caller || isOneWay) cpuUs += used.cpuUs ?? Number.NaN
    peakRssBytes += used.peakRssBytes
    rssGrowthBytes += used.rssGrowthBytes
  }

  if (state && state.received === run.done && state.sum !== run.sum)
    throw new Error('the receiver did not get what the sender sent')
  const done = state ? state.received : run.done
  const perSecond = state ? (state.timed / state.timedMs) * 1000 : (run.done / run.elapsedMs) * 1000
  const figures = {
    rate: workload.bytes ? (perSecond * workload.bytes) / 1e6 : perSecond,
    done,
    elapsedMs: state ? state.timedMs : run.elapsedMs,
    cpuUs: cpuUs / done,
    peakRssBytes,
    rssGrowthBytes,
  }
  if (isDurable) return { ...figures, storedP50Us: run.p50Us, ...(await measureLatency(stage)) }
  if (state) return { ...figures, lost: run.done - state.received }
  if (workload.shape === 'items') return { ...figures, ...(await measureHolding(stage)) }
  return { ...figures, p50Us: run.p50Us, p99Us: run.p99Us }
}

/** Nothing durable may be lost, or come twice while nothing fails. @param {any} state @param {any} run */
function checkAll({ received, delivered, sum }, run) {
  if (delivered !== run.done || received !== run.done)
    throw new Error(`of ${run.done} messages ${delivered} were delivered and ${received} acknowledged`)
  if (sum !== run.sum) throw new Error('other messages were delivered than were sent')
}

/** Waits until everything arrived, or until nothing has for a second.
 * @param {Stage} stage @param {number} sent */
async function settled({ callee }, sent) {
  let state = await callee.ask('state')
  let seen = -1
  let since = performance.now()
  while (state.received < sent && performance.now() - since < SETTLE_MS) {
    if (state.received !== seen) {
      seen = state.received
      since = performance.now()
    }
    await sleep(10)
    state = await callee.ask('state')
  }
  return state
}

/** From enqueue to the handler: in the window that was, and alone. @param {Stage} stage */
async function measureLatency({ caller, callee }) {
  const latency = await callee.ask('latency')
  await callee.ask('reset')
  await within(SLACK_MS, 'one message at a time', caller.ask('alone', { ms: ALONE_MS }))
  return { ...latency, aloneP50Us: (await callee.ask('latency')).p50Us }
}

/** How a stream behaves whose reader takes ten items, pauses, and leaves. It is long enough not to end by itself.
 * @param {Stage} stage */
async function measureHolding({ caller, callee }) {
  const count = 50 * ITEMS
  await callee.ask('reset')
  const read = await within(SLACK_MS, 'opening a stream', caller.ask('hold', { count }))
  await sleep(PAUSE_MS)
  const earlier = await callee.ask('state')
  await sleep(PAUSE_MS)
  const later = await callee.ask('state')
  await within(SLACK_MS, 'leaving a stream', caller.ask('breakOff'))
  await sleep(PAUSE_MS)
  const { produced, ended } = await callee.ask('state')
  return {
    producedWhilePaused: later.produced - read,
    stillProducing: later.produced > earlier.produced,
    stoppedOnBreak: ended && produced < count,
  }
}
