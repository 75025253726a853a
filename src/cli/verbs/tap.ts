import type { TapEvent } from '../../hub/tap.ts'
import { exitOf, Failure } from '../failure.ts'
import type { Output } from '../output.ts'
import type { Session } from '../session.ts'
import { bytesText, millisecondsText, pad, timeOf, visible, width } from '../text.ts'

export interface TapOrder {
  readonly peer?: string | undefined
  readonly method?: string | undefined
  /** End after so many messages. */
  readonly count?: number | undefined
}

/** Live traffic of the hub, a line for each message, until it is interrupted. */
export async function tap(session: Session, order: TapOrder): Promise<void> {
  const { out, app, timeoutMs } = session
  const { peer, method, count = Number.POSITIVE_INFINITY } = order
  const filter = { ...(peer === undefined ? {} : { peer }), ...(method === undefined ? {} : { method }) }
  const batches = session.peer.stream('$hub.tap', filter, { target: { id: 'hub' }, timeoutMs })
  const lines = new Lines(out)
  let shown = 0
  try {
    for await (const batch of batches) {
      const { events, dropped } = readBatch(batch)
      if (!lines.begun) {
        lines.begun = true
        out.note(`watching the hub of ${app}; Ctrl-C ends`)
      }
      for (const event of events) {
        await (out.json ? out.value(event) : out.line(lines.of(event)))
        if (++shown >= count) return
      }
      if (dropped > 0) {
        if (out.json) await out.value({ kind: 'dropped', dropped })
        else out.note(`${dropped} messages are not shown: the hub is faster than this terminal`)
      }
    }
  } catch (error) {
    throw new Failure(error instanceof Error ? error.message : String(error), {
      exit: exitOf(error),
      cause: error,
    })
  }
  throw new Failure(`the hub of ${app} has ended the watch`)
}

/** Lines whose columns stay where they are, and grow when they must. */
class Lines {
  begun = false
  readonly #out: Output
  readonly #widths = { way: 24, method: 20, status: 8 }

  constructor(out: Output) {
    this.#out = out
  }

  of(event: TapEvent): string {
    const { at, from, to, kind, method, status = '', bytes, lane, ms } = event
    const out = this.#out
    const failed = kind === 'error' || kind === 'refused'
    return [
      out.style('dim', timeOf(at)),
      this.#column('way', `${visible(from)} → ${visible(to)}`),
      out.style(failed ? 'red' : kind === 'end' ? 'green' : 'cyan', pad(visible(kind), 9)),
      this.#column('method', visible(method)),
      out.style(failed ? 'red' : 'dim', this.#column('status', visible(status))),
      pad(bytesText(bytes), 7, 'right'),
      pad(visible(lane), 7),
      ms === undefined ? '' : millisecondsText(ms),
    ]
      .join('  ')
      .trimEnd()
  }

  #column(name: 'way' | 'method' | 'status', text: string): string {
    this.#widths[name] = Math.min(60, Math.max(this.#widths[name], width(text)))
    return pad(text, this.#widths[name])
  }
}

function readBatch(batch: unknown): { events: TapEvent[]; dropped: number } {
  if (typeof batch !== 'object' || batch === null) return { events: [], dropped: 0 }
  const events = 'events' in batch && Array.isArray(batch.events) ? batch.events.filter(isTapEvent) : []
  const dropped = 'dropped' in batch && typeof batch.dropped === 'number' ? batch.dropped : 0
  return { events, dropped }
}

function isTapEvent(value: unknown): value is TapEvent {
  return (
    typeof value === 'object' &&
    value !== null &&
    'at' in value &&
    typeof value.at === 'number' &&
    'bytes' in value &&
    typeof value.bytes === 'number' &&
    ['kind', 'from', 'to', 'method', 'lane'].every((key) => typeof Reflect.get(value, key) === 'string')
  )
}
