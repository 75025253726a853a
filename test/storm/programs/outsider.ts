/**
 * A process that no supervisor started. One that is `steady` lives through the storm and keeps a ledger; the
 * others are killed like everybody else.
 */
import { randomUUID } from 'node:crypto'
import { join as path } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { join, type Peer } from 'viaduct'
import type { SteadyReport } from '../figures.ts'
import { Ledger } from '../ledger.ts'
import { Load, Watch } from '../load.ts'
import { descriptors, memoryNow } from '../memory.ts'
import { random } from '../random.ts'
import { publishTicks, runLog, serveStorm } from '../service.ts'

const [folder = '.', app = '', base = '', id = '', seed = '1'] = process.argv.slice(2)
const steady = id.startsWith('steady')

// Whoever started it has gone, or wants it to go: whatever it is doing.
process.on('disconnect', () => process.exit(0))

async function dial(): Promise<Peer> {
  for (;;) {
    try {
      return await join({ app, id, base })
    } catch {
      await sleep(20) // The hub is being killed or started just now.
    }
  }
}

const peer = await dial()
serveStorm(peer, runLog(folder, id))
const stopTicks = publishTicks(peer)
const ledger = steady
  ? new Ledger(path(folder, `${id}.ledger`), id)
  : new Ledger('/dev/null', `${id}-${randomUUID()}`)
const load = new Load({
  peer: () => peer,
  ledger,
  random: random(Number(seed) + id.length),
  targets: [{ id: 'main' }, { id: 'steady-1' }, { id: 'steady-2' }, { type: 'worker' }, { id: 'worker-1' }],
  callers: 6,
  restMs: 30,
})
const watch = new Watch(peer)
const before = descriptors()
let warm = memoryNow()
let session = peer.info.session
let reconnects = 0
setInterval(() => {
  if (peer.isConnected && peer.info.session !== session) {
    session = peer.info.session
    reconnects++
  }
}, 5)

process.on('message', async (word) => {
  if (word === 'warm') warm = memoryNow()
  if (word !== 'stop') return
  await load.stop()
  stopTicks()
  await watch.stop()
  ledger.flush()
  const report: SteadyReport = {
    id,
    made: ledger.made,
    settled: ledger.settled,
    open: ledger.open,
    lateMs: ledger.lateMs,
    reconnects,
    connected: peer.isConnected,
    openCalls: peer.core.openCalls,
    wrong: load.wrong,
    topicFaults: watch.faults,
    ticks: watch.seen,
    fds: { before, after: descriptors() },
    warm,
    end: memoryNow(),
  }
  process.send?.(report)
})
