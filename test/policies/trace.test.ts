/** trace: one trace from the first caller to the last callee, and a span for each side. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { contract, Hub, method, unchecked } from '../../src/index.ts'
import { callerPolicies, type Span, type TraceOptions, trace } from '../../src/policies/index.ts'
import { refused, sides } from './rig.ts'

const FORM = /^00-([\da-f]{32})-([\da-f]{16})-(\d\d)$/
const GIVEN = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
const base = mkdtempSync(join(tmpdir(), 'viaduct-trace-'))
const child = fileURLToPath(new URL('fixtures/hop.mjs', import.meta.url))
afterAll(() => rmSync(base, { recursive: true, force: true }))

/** A traced call, and the spans and contexts that came of it. */
function traced(caller: TraceOptions = {}, callee: TraceOptions = {}) {
  const spans: Span[] = []
  const seen: (string | undefined)[] = []
  const onSpan = (span: Span) => spans.push(span)
  const both = sides(
    {
      read: (n, call) => {
        seen.push(call.traceparent)
        if (n < 0) throw new Error('below zero')
        return n
      },
      async *count(to) {
        for (let n = 1; n <= to; n++) {
          yield n
          await new Promise(setImmediate)
        }
        return 'done'
      },
    },
    { caller: [trace({ onSpan, ...caller })], callee: [trace({ onSpan, ...callee })] },
  )
  return { ...both, spans, seen }
}

describe('trace', () => {
  it('begins a trace, and makes each side a span of it, the callee below the caller', async () => {
    const { api, here, spans, seen } = traced()
    await api.read(1)
    const [server, client] = spans
    expect(spans).toHaveLength(2)
    expect(client).toMatchObject({
      name: 'work.read',
      kind: 'client',
      parentSpanId: undefined,
      error: undefined,
    })
    expect(server).toMatchObject({ kind: 'server', traceId: client?.traceId, parentSpanId: client?.spanId })
    expect(server?.spanId).not.toBe(client?.spanId)
    expect(seen).toEqual([`00-${client?.traceId}-${server?.spanId}-01`])
    expect(seen[0]).toMatch(FORM)
    here.close()
  })

  it('goes on in the trace of the options, else in the current one; flags are handed on', async () => {
    const current = () => `00-${'c'.repeat(32)}-${'d'.repeat(16)}-00`
    const { api, here, seen, spans } = traced({ current })
    await api.read(1, { traceparent: GIVEN })
    await api.read(1)
    expect(seen[0]).toMatch(/^00-a{32}-[\da-f]{16}-01$/)
    expect(seen[1]).toMatch(/^00-c{32}-[\da-f]{16}-00$/)
    expect(spans.filter(({ kind }) => kind === 'client').map(({ parentSpanId }) => parentSpanId)).toEqual([
      'b'.repeat(16),
      'd'.repeat(16),
    ])
    here.close()
  })

  it.each([
    '',
    'nonsense',
    'a-b-c-d',
    GIVEN.toUpperCase(),
    `ff${GIVEN.slice(2)}`,
    GIVEN.replace(/a/g, '0'),
    GIVEN.replace(/b/g, '0'),
  ])(
    'is malformed as %j: begins anew when it is the current one, is refused as an option',
    async (malformed) => {
      const { api, here, seen } = traced({ current: () => malformed })
      await api.read(1)
      expect(seen[0]).toMatch(FORM)
      expect(seen[0]).not.toMatch(/a{16}|b{16}|0{16}/)
      expect(await refused(api.read(1, { traceparent: malformed }))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        path: 'options.traceparent',
        fate: 'not-sent',
      })
      expect(seen).toHaveLength(1)
      here.close()
    },
  )

  it('samples where a trace begins alone', async () => {
    const { api, here, seen } = traced({ sample: () => false }, { sample: () => true })
    await api.read(1)
    await api.read(1, { traceparent: GIVEN })
    expect(seen.map((text) => FORM.exec(text ?? '')?.[3])).toEqual(['00', '01'])
    here.close()
  })

  it('tells what failed, and when a stream ended; what an exporter throws ends nothing', async () => {
    const { api, here, spans } = traced()
    await refused(api.read(-1))
    expect(spans.map(({ error }) => String(error))).toEqual([
      'Error: below zero',
      expect.stringContaining('below zero'),
    ])
    spans.length = 0
    const counted = api.count(2)
    let wasEarly = false
    for await (const n of counted) if (n === 1) wasEarly = spans.length === 0
    expect(wasEarly).toBe(true)
    await counted.output
    await expect.poll(() => spans.map(({ kind }) => kind).sort()).toEqual(['client', 'server'])
    const spoilt = traced({
      onSpan: () => {
        throw new Error('the exporter is down')
      },
    })
    expect(await spoilt.api.read(5)).toBe(5)
    here.close()
    spoilt.here.close()
  })

  it('is one trace through three processes: main, worker, worker', async () => {
    const hub = await Hub.listen({ app: 'traced', base, log: () => {} })
    const hop = contract('hop', { go: method({ input: unchecked<string[]>(), output: unchecked<Hop[]>() }) })
    try {
      for (const id of ['worker-1', 'worker-2'])
        await hub.supervise(id, { type: 'worker', run: [process.execPath, child] })
      const spans: Span[] = []
      const policies = callerPolicies({ trace: { onSpan: (span) => spans.push(span) } })
      const api = hub.peer.client(hop, { id: 'worker-1' }, { policies })
      const [first, second] = await api.go(['worker-2'], { timeoutMs: 20_000 })
      const [root] = spans
      expect([first?.id, second?.id]).toEqual(['worker-1', 'worker-2'])
      // What the first worker asked of the second: it was told before the first one answered.
      const [between] = first?.spans ?? []
      const [, trace1, server1] = FORM.exec(first?.traceparent ?? '') ?? []
      const [, trace2] = FORM.exec(second?.traceparent ?? '') ?? []
      expect([trace1, trace2, between?.traceId]).toEqual(Array(3).fill(root?.traceId))
      expect(between).toMatchObject({ kind: 'client', name: 'hop.go', parentSpanId: server1 })
      expect(root).toMatchObject({ kind: 'client', parentSpanId: undefined })
      expect(root?.spanId).not.toBe(server1)
    } finally {
      await hub.close()
    }
  })
})

interface Hop {
  readonly id: string
  readonly traceparent: string
  readonly spans: Span[]
}
