/** A supervised child of the storm: serves, publishes and calls until it is killed. */
import { randomUUID } from 'node:crypto'
import { join } from 'viaduct'
import { Ledger } from '../ledger.ts'
import { Load } from '../load.ts'
import { random } from '../random.ts'
import { publishTicks, runLog, serveStorm } from '../service.ts'

const [folder = '.', seed = '1'] = process.argv.slice(2)
const peer = await join()
serveStorm(peer, runLog(folder, peer.id))
publishTicks(peer)
new Load({
  peer: () => peer,
  // Nobody reads what a killed process thought: its numbers alone count, which no handler may see twice.
  ledger: new Ledger('/dev/null', `${peer.id}-${randomUUID()}`),
  random: random(Number(seed) + process.pid),
  targets: [{ id: 'main' }, { id: 'steady-1' }, { type: 'worker' }],
  callers: 3,
  restMs: 40,
})
