import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Tally } from '../../src/core/ipcMetrics.ts'
import { type AlertChange, type AlertOptions, Alerts, alertLine, MAX_ALERTS } from '../../src/hub/alerts.ts'
import type { Window } from '../../src/hub/metrics.ts'

/** Windows as a test says them. */
class Windows {
  readonly #listeners = new Set<(window: Window) => void>()
  #at = 0

  get listeners(): number {
    return this.#listeners.size
  }

  listen(listener: (window: Window) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  tell(methods: Readonly<Record<string, Tally>>, queues: Readonly<Record<string, number>> = {}): void {
    const window: Window = {
      ...{ kind: 'window', at: ++this.#at, windowMs: 60_000, total: new Tally(), pairs: [] },
      methods: new Map(Object.entries(methods)),
      queues: new Map(Object.entries(queues)),
    }
    for (const listener of this.#listeners) listener(window)
  }
}

function rig(options?: AlertOptions) {
  const windows = new Windows()
  const alerts = new Alerts(windows, options)
  const told: AlertChange[] = []
  const unlisten = alerts.listen((change) => told.push(change))
  return { windows, alerts, told, unlisten }
}

function tally(more: Partial<Pick<Tally, 'messages' | 'ended' | 'failed' | 'dropped'>>, ms = 1): Tally {
  const made = Object.assign(new Tally(), { messages: 100, ended: 100, ...more })
  for (let call = 0; call < made.ended; call++) made.latency.record(ms)
  return made
}

const brief = ({ kind, alert }: AlertChange) => `${kind} ${alert.name} ${alert.method ?? alert.peer}`

describe('alerts', () => {
  it.each([
    ['p95Latency', 'WARNING', tally({}, 90), tally({}, 120)],
    ['p99Latency', 'CRITICAL', tally({}, 450), tally({}, 600)],
    ['errorRate', 'CRITICAL', tally({ failed: 5 }), tally({ failed: 6 })],
    ['dropRate', 'WARNING', tally({ messages: 990, dropped: 10 }), tally({ messages: 980, dropped: 20 })],
  ] as const)('%s: crosses its threshold both ways, as %s', (name, level, at, over) => {
    const { windows, alerts, told } = rig()
    const of = () => told.filter(({ alert }) => alert.name === name)
    windows.tell({ work: at })
    expect(of()).toEqual([])
    windows.tell({ work: over })
    expect(of()).toMatchObject([{ kind: 'raised', at: 2, alert: { level, method: 'work', since: 2 } }])
    windows.tell({ work: tally({}) })
    expect(alerts.all()).toContainEqual(expect.objectContaining({ name }))
    windows.tell({ work: tally({}) })
    expect(of()).toMatchObject([{ kind: 'raised' }, { kind: 'cleared', at: 4, alert: { since: 2 } }])
    expect(alerts.all()).toEqual([])
  })

  it('queueSize: is of a peer, and over when nothing waits for it any more', () => {
    const { windows, told } = rig()
    windows.tell({}, { w: 500 })
    expect(told).toEqual([])
    windows.tell({}, { w: 501, v: 3 })
    windows.tell({}, {})
    windows.tell({}, {})
    expect(told.map(brief)).toEqual(['raised queueSize w', 'cleared queueSize w'])
  })

  it('do not flap around the threshold, nor around the mark for clearing', () => {
    const { windows, told } = rig()
    for (let round = 0; round < 20; round++) {
      windows.tell({ work: tally({}, round % 2 === 0 ? 105 : 95) })
    }
    expect(told.map(brief)).toEqual(['raised p95Latency work'])
    for (let round = 0; round < 20; round++) {
      windows.tell({ work: tally({}, round % 2 === 0 ? 75 : 85) })
    }
    expect(told.map(brief)).toEqual(['raised p95Latency work'])
  })

  it('change only after as many windows in a row as they are told, whatever comes', () => {
    const step = fc.constantFrom('over', 'between', 'under', 'few', 'idle')
    const count = fc.integer({ min: 1, max: 4 })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), count, count, (steps, raiseAfter, clearAfter) => {
        const { windows, told } = rig({ raiseAfter, clearAfter, thresholds: { p99Latency: false } })
        const tallies = { over: tally({}, 110), between: tally({}, 90), under: tally({}, 50) }
        let raised = false
        steps.forEach((one, at) => {
          const before = told.length
          if (one === 'idle') windows.tell({})
          else windows.tell({ work: one === 'few' ? tally({ messages: 9, ended: 9 }, 900) : tallies[one] })
          const last = (most: number) => steps.slice(Math.max(0, at + 1 - most), at + 1)
          const wanted = raised ? ['under', 'idle'] : ['over']
          const most = raised ? clearAfter : raiseAfter
          // Those since the last change alone: no window speaks for both.
          const due = last(most).length === most && last(most).every((seen) => wanted.includes(seen))
          expect(told.length - before).toBe(due ? 1 : 0)
          if (due) raised = !raised
          expect(told.at(-1)?.kind ?? 'cleared').toBe(raised ? 'raised' : 'cleared')
        })
      }),
    )
  })

  it('are off where a threshold is false, and at another one where that is given', () => {
    const { windows, told } = rig({ thresholds: { p95Latency: false, p99Latency: 900, errorRate: 50 } })
    windows.tell({ work: tally({ failed: 40 }, 800) })
    expect(told).toEqual([])
    windows.tell({ work: tally({ failed: 60 }, 1000) })
    expect(told.map(brief)).toEqual(['raised p99Latency work', 'raised errorRate work'])
  })

  it('look at nothing while nobody listens, and begin anew after that', () => {
    const { windows, alerts, unlisten } = rig()
    windows.tell({ work: tally({}, 200) })
    expect(alerts.all()).toHaveLength(1)
    unlisten()
    expect(windows.listeners).toBe(0)
    expect(alerts.all()).toEqual([])
  })

  it('are bounded, however many methods there are', () => {
    const { windows, alerts } = rig()
    const methods = Object.fromEntries(
      Array.from({ length: 3000 }, (_, n) => [`m${n}`, tally({ ended: 10 }, 200)]),
    )
    windows.tell(methods)
    expect(alerts.all()).toHaveLength(MAX_ALERTS)
    for (let round = 0; round < 2; round++) windows.tell({})
    expect(alerts.all()).toEqual([])
  })

  it('are one line of a log, whatever a method is called', () => {
    const { windows, told } = rig({ thresholds: { p99Latency: false } })
    windows.tell({ 'a\nalert cleared level=WARNING': tally({}, 123.456), 'pages.get': tally({}, 123.456) })
    const lines = told.map(alertLine)
    expect(lines[0]?.split('\n')).toHaveLength(1)
    expect(lines[1]).toMatch(
      /^alert raised level=WARNING name=p95Latency method=pages\.get value=123\.5 threshold=100$/,
    )
    expect(told[1]?.text).toBe('p95Latency of pages.get was 123.5 ms in the last 60 s, over 100 ms')
  })
})
