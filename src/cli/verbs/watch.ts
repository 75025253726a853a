import { applyChange } from '../../contract/watch.ts'
import type { HubChange, PeerRow } from '../../hub/answers.ts'
import { exitOf, Failure } from '../failure.ts'
import type { Output } from '../output.ts'
import type { Session } from '../session.ts'
import { pad, timeOf, visible } from '../text.ts'

/** A line for each peer, then for each change of one, until it is interrupted. */
export async function watchPeers(session: Session): Promise<void> {
  const { out, app } = session
  const rows = new Map<string, PeerRow>()
  let begun = false
  try {
    for await (const change of session.peer.watch()) {
      if (!begun) out.note(`watching who is on the hub of ${app}; Ctrl-C ends`)
      begun = true
      if (out.json) {
        await out.value(change)
        continue
      }
      for (const line of linesOf(out, rows, change)) await out.line(line)
      applyChange(rows, change)
    }
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error), {
      exit: exitOf(error),
      cause: error,
    })
  }
  throw new Failure(`the hub of ${app} has ended the watch`)
}

function linesOf(out: Output, rows: ReadonlyMap<string, PeerRow>, change: HubChange): string[] {
  const time = out.style('dim', timeOf(change.at))
  if (change.kind === 'snapshot') {
    const missed =
      change.missed === 0 ? [] : [`${time}  ${change.missed} changes are not shown: this is how it stands`]
    return [...missed, ...change.peers.map((peer) => lineOf(out, time, peer, 'is', peer.reason ?? ''))]
  }
  const { id, kind, peer, reason = '', methods = [] } = change
  const shown = peer ?? { type: '', methods: 0, ...rows.get(id), id, state: 'left' }
  return [lineOf(out, time, shown, kind, methods.length > 0 ? methods.join(' ') : reason)]
}

function lineOf(
  out: Output,
  time: string,
  { id, type, state, methods }: { id: string; type: string; state: string; methods: number },
  kind: string,
  more: string,
): string {
  const colour = state === 'ready' ? 'green' : state === 'failed' || state === 'left' ? 'red' : 'yellow'
  return [
    time,
    pad(visible(id), 16),
    pad(visible(type), 12),
    out.style(colour, pad(visible(state), 9)),
    pad(`${methods} methods`, 12, 'right'),
    out.style('cyan', pad(visible(kind), 9)),
    visible(more),
  ]
    .join('  ')
    .trimEnd()
}
