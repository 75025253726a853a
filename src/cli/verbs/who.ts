import type { PeerStatus } from '../../hub/answers.ts'
import type { Session } from '../session.ts'
import { table } from '../table.ts'
import { bytesText } from '../text.ts'

/** Who is connected to the hub. */
export async function who(session: Session): Promise<void> {
  const { out } = session
  const peers = await session.who()
  if (out.json) return out.value(peers)
  const lines = table<PeerStatus>(
    peers,
    [
      { title: 'ID', cell: ({ id }) => id },
      { title: 'TYPE', cell: ({ type }) => type },
      { title: 'ZONE', cell: ({ zone }) => zone },
      { title: 'PID', cell: ({ pid }) => (pid === undefined ? '-' : String(pid)), align: 'right' },
      {
        title: 'STATE',
        cell: stateOf,
        paint: (text, peer) => out.style(stateOf(peer) === 'ready' ? 'green' : 'yellow', text),
      },
      { title: 'OPEN', cell: ({ open }) => String(open), align: 'right' },
      { title: 'QUEUED', cell: ({ queuedBytes }) => bytesText(queuedBytes), align: 'right' },
      { title: 'CALLS', cell: ({ calls }) => String(calls), align: 'right' },
      { title: 'REFUSED', cell: ({ refused }) => String(refused), align: 'right' },
      { title: 'IN', cell: ({ bytesIn }) => bytesText(bytesIn), align: 'right' },
      { title: 'OUT', cell: ({ bytesOut }) => bytesText(bytesOut), align: 'right' },
    ],
    (text) => out.style('bold', text),
  )
  for (const line of lines) await out.line(line)
}

function stateOf({ ready, draining, paused, busyMs }: PeerStatus): string {
  if (draining) return 'draining'
  if (!ready) return 'starting'
  if (busyMs > 0) return 'busy'
  return paused ? 'paused' : 'ready'
}
