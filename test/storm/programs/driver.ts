/**
 * The storm: a hub in a process of its own, supervised children, processes that joined by themselves, all of
 * them calling each other, and this one, which kills them at moments that its seed has chosen and lives.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join as path } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ChildStatus, Hub, isViaductError, type Rules, type Target } from 'viaduct'
import type { DriverReport, SteadyReport } from '../figures.ts'
import { Histogram, Ledger } from '../ledger.ts'
import { Load, Watch } from '../load.ts'
import { descriptors, memoryNow } from '../memory.ts'
import { random } from '../random.ts'
import { publishTicks, runLog, serveStorm } from '../service.ts'

export interface Orders {
  readonly folder: string
  readonly base: string
  readonly seed: number
  readonly kills: number
  /** The storm ends after so long, whatever it has killed by then. */
  readonly seconds: number
  /** Of a hundred kills so many are of the hub. */
  readonly hubShare: number
  /** Nobody is killed: says `whole` when all stand, and goes on until it is told that it is over. */
  readonly calm?: boolean
}

const orders: Orders = JSON.parse(process.argv[2] ?? '{}')
const { folder, base, seed } = orders
const APP = 'storm'
const WORKERS = ['worker-1', 'worker-2', 'worker-3', 'worker-4']
const STEADY = ['steady-1', 'steady-2']
const DRIFTERS = ['drifter-1', 'drifter-2']
/** A process is warm when it has seen so many, and a tenth of all. */
const WARM_KILLS = 30
/** Longest wait between two kills. */
const GAP_MS = 40
const all = { call: ['storm.*'], publish: ['storm.*'], subscribe: ['storm.*'] }
const manifest: Rules = {
  main: all,
  worker: all,
  ...Object.fromEntries([...STEADY, ...DRIFTERS].map((id) => [id, { ...all, join: true, zone: 'trusted' }])),
}

const ran = runLog(folder, 'main')
// What Node opens for good with its first stream and process belongs to no storm.
await once(spawn('true'), 'close')
const bareFds = descriptors()
const chance = random(seed)
const kills = { workers: 0, outsiders: 0, hubs: 0 }
const restarts = { workers: 0, outsiders: 0, hubs: 0 }
const killed = () => kills.workers + kills.outsiders + kills.hubs
const lastKill = new Map<string, number>()
const [afterPeer, afterHub, hubBack] = [new Histogram(), new Histogram(), new Histogram()]
const ticks = { seen: 0, faults: [] as string[] }
const outsiders = new Map<string, ChildProcess>()
/** Restarts that the present hub has told of. */
let told = 0
let hub: Hub
let watch: Watch
let stopTicks = () => {}
let closing = false

/** Processes that were started in the storm's folder, and all that those have started. */
function processesHere(): { pid: number; command: string }[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name)
    if (!Number.isInteger(pid) || pid === process.pid) return []
    try {
      if (readlinkSync(`/proc/${pid}/cwd`) !== process.cwd()) return []
      return [{ pid, command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') }]
    } catch {
      return [] // It has ended meanwhile, or is not ours to look at.
    }
  })
}

/** The hub's process: the one child of ours that we did not start ourselves. */
function hubPid(): number | undefined {
  const known = new Set([...outsiders.values()].map(({ pid }) => pid))
  const text = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim()
  return text
    .split(' ')
    .map(Number)
    .find((pid) => pid > 0 && !known.has(pid))
}

async function startHub(): Promise<void> {
  const lost = performance.now()
  for (;;) {
    const starting = Hub.launch({ app: APP, base, manifest })
    // Now and then it is killed before it has started.
    if (killed() > 0 && chance.below(6) === 0) {
      const pid = hubPid()
      setTimeout(() => {
        if (pid === undefined) return
        kills.hubs++
        process.kill(pid, 'SIGKILL')
      }, chance.below(80))
    }
    try {
      hub = await starting
      serveStorm(hub.peer, ran)
      watch = new Watch(hub.peer)
      stopTicks = publishTicks(hub.peer)
      for (const id of WORKERS) await supervise(id)
      break
    } catch {
      restarts.hubs++ // It was killed on its way.
      await sleep(1)
    }
  }
  if (lastKill.has('hub')) hubBack.add(performance.now() - lost)
}

function supervise(id: string): Promise<void> {
  return hub.supervise(id, {
    type: 'worker',
    run: [process.execPath, path(folder, 'worker.mjs'), folder, String(seed)],
    restart: { max: Number.POSITIVE_INFINITY, initialDelayMs: 1, maxDelayMs: 5 },
    stdio: { out: 'ignore', err: 'ignore' },
  })
}

function startOutsider(id: string): void {
  const child = spawn(process.execPath, [path(folder, 'outsider.mjs'), folder, APP, base, id, String(seed)], {
    stdio: ['ignore', 'ignore', STEADY.includes(id) ? 'inherit' : 'ignore', 'ipc'],
  })
  outsiders.set(id, child)
  child.once('exit', () => {
    if (closing || !DRIFTERS.includes(id)) return
    restarts.outsiders++
    startOutsider(id)
  })
}

async function killHub(): Promise<void> {
  const pid = hubPid()
  if (pid === undefined) return
  const { peer } = hub
  lastKill.set('hub', performance.now())
  kills.hubs++
  restarts.hubs++
  process.kill(pid, 'SIGKILL')
  await peer.closed
  await endOfHub()
  await startHub()
}

async function endOfHub(): Promise<void> {
  stopTicks()
  await watch.stop()
  ticks.seen += watch.seen
  ticks.faults.push(...watch.faults)
  await hub.close()
  restarts.workers += told
  told = 0
}

/** When nobody is killed any more a hub answers, however busy the machine is: whoever started this bounds its time. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!isViaductError(error) || error.reason !== 'DEADLINE_EXCEEDED') throw error
    }
  }
}

async function tellRestarts(): Promise<ChildStatus[]> {
  const children = await hub.children()
  told = children.reduce((sum, { restarts }) => sum + restarts, 0)
  return children
}

/** One kill, or none when nobody stands who may fall. */
async function killOne(): Promise<void> {
  const die = chance.below(100)
  if (die < orders.hubShare) return killHub()
  if (die < orders.hubShare + 12) {
    const id = DRIFTERS[chance.below(DRIFTERS.length)] ?? ''
    lastKill.set(id, performance.now())
    if (outsiders.get(id)?.kill('SIGKILL')) kills.outsiders++
    return
  }
  const children = await tellRestarts()
  // Most kills wait until half of them are up, so that there is work to be killed; some come in the middle of a start.
  if (die % 10 > 0 && children.filter(({ state }) => state === 'ready').length * 2 <= WORKERS.length) return
  const id = WORKERS[chance.below(WORKERS.length)] ?? ''
  lastKill.set(id, performance.now())
  if (await hub.kill(id)) kills.workers++
}

function onLost(target: Target, reason: string): void {
  const now = performance.now()
  if (reason === 'LINK_LOST') afterHub.add(now - (lastKill.get('hub') ?? Number.NaN))
  else if ('id' in target && lastKill.has(target.id)) afterPeer.add(now - (lastKill.get(target.id) ?? 0))
}

/** Everybody up and answering. */
async function whole(): Promise<void> {
  await Promise.all(WORKERS.map((id) => hub.whenReady(id)))
  for (const id of [...STEADY, ...DRIFTERS]) {
    while (!(await patiently(() => hub.who())).some((peer) => peer.id === id && peer.ready)) await sleep(10)
  }
}

const progress = (text: string): void => {
  const line = `${text}${process.stderr.isTTY ? '\x1b[K\r' : '\n'}`
  process.stderr.write(line)
}

async function stopSteady(id: string): Promise<SteadyReport> {
  const child = outsiders.get(id)
  if (!child) throw new Error(`${id} is not there`)
  child.send('stop')
  const [report]: SteadyReport[] = await once(child, 'message')
  if (!report) throw new Error(`${id} has nothing to say`)
  return report
}

async function endOutsider(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.disconnect()
  await gone
}

async function main(): Promise<DriverReport> {
  await startHub()
  for (const id of [...STEADY, ...DRIFTERS]) startOutsider(id)
  await whole()
  const ledger = new Ledger(path(folder, 'main.ledger'), 'main')
  const wholeFds = descriptors()
  const load = new Load({
    peer: () => hub.peer,
    ledger,
    random: random(seed + 1),
    targets: [
      ...WORKERS.map((id) => ({ id })),
      { type: 'worker' },
      { type: 'worker' },
      ...STEADY.map((id) => ({ id })),
      ...DRIFTERS.map((id) => ({ id })),
    ],
    callers: 16,
    restMs: 20,
    onLost,
  })
  const started = performance.now()
  const seconds = () => (performance.now() - started) / 1000
  let warm = memoryNow()
  let warmed = false
  let shown = 0
  if (orders.calm) {
    process.send?.('whole')
    await once(process, 'message')
  }
  while (killed() < orders.kills && seconds() < orders.seconds) {
    await sleep(chance.below(GAP_MS))
    await killOne().catch(() => {})
    if (!warmed && killed() > Math.max(orders.kills / 10, WARM_KILLS)) {
      warmed = true
      warm = memoryNow()
      for (const id of STEADY) outsiders.get(id)?.send('warm')
    }
    if (seconds() > shown + (process.stderr.isTTY ? 1 : 20)) {
      shown = seconds()
      const rate = (killed() / shown).toFixed(1)
      progress(`seed ${seed}: ${killed()} of ${orders.kills} kills, ${rate}/s, ${ledger.made} calls`)
    }
  }
  const took = seconds()
  await whole()
  await load.stop()
  const steady = await Promise.all(STEADY.map(stopSteady))
  await patiently(tellRestarts)
  await whole()
  ledger.flush()
  // Timers of the last cancelled calls, and links that were let go of, have gone a moment later.
  await sleep(200)
  const [end, endFds] = [memoryNow(), descriptors()]
  closing = true
  const { openCalls } = hub.peer.core
  await Promise.all([...outsiders.values()].map(endOutsider))
  await endOfHub()
  outsiders.clear()
  let left = processesHere()
  for (let look = 0; left.length > 0 && look < 100; look++) {
    await sleep(20)
    left = processesHere()
  }
  await sleep(200)
  return {
    id: 'main',
    seed,
    seconds: took,
    kills,
    restarts,
    made: ledger.made,
    settled: ledger.settled,
    open: ledger.open,
    lateMs: ledger.lateMs,
    reconnects: 0,
    connected: true,
    openCalls: openCalls,
    wrong: load.wrong,
    topicFaults: ticks.faults,
    ticks: ticks.seen,
    afterPeer: afterPeer.figures,
    afterHub: afterHub.figures,
    hubBack: hubBack.figures,
    steady,
    orphans: left.map(({ pid, command }) => `${pid} ${command}`),
    leftFiles: readdirSync(base),
    fds: { before: wholeFds, after: endFds },
    bareFds: { before: bareFds, after: descriptors() },
    warm,
    end,
  }
}

const report = await main()
writeFileSync(path(folder, 'report.json'), JSON.stringify(report))
// Whoever started this may hold a channel to it.
if (process.connected) process.disconnect()
