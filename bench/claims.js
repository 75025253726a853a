import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Hub, manifest } from 'viaduct'
import { APP, ITEM_BYTES, startActor, WORK_MS } from './lib/claimsActor.js'

/**
 * What batching, caching and streaming save, each beside the same without it in the same run: caller, callee and hub
 * are processes of their own. `npm run bench -- claims [--quick] [--json]`.
 */

const BURST = 1_000
const STREAM_BYTES = 2 ** 30

/** @param {number[]} values */
const median = (values) => [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0
/** @param {number} less @param {number} more */
const saved = (less, more) => 1 - less / more

/** @param {{ quick: boolean, json: boolean }} options */
export async function measureClaims({ quick, json }) {
  const rounds = quick ? 1 : 3
  const base = mkdtempSync(join(tmpdir(), 'viaduct-claims-'))
  const rules = manifest({
    caller: { join: true, zone: 'trusted', call: [{ method: 'claims.*', to: 'callee' }] },
    callee: { join: true, zone: 'trusted' },
  })
  const hub = await Hub.listen({ app: APP, base, manifest: rules, log: () => {} })
  try {
    const measured = []
    for (let round = 0; round < rounds; round++) {
      process.stderr.write(`round ${round + 1} of ${rounds}\n`)
      measured.push(await measureRound(hub, base))
    }
    const results = {
      machine: {
        cpu: cpus()[0]?.model.trim(),
        cores: cpus().length,
        node: process.versions.node,
        load: loadavg()[0],
      },
      date: new Date().toISOString(),
      rounds,
      ...medians(measured),
    }
    process.stdout.write(shown(results))
    if (json) keep(results)
  } finally {
    await hub.close()
    rmSync(base, { recursive: true, force: true })
  }
}

/** @typedef {Awaited<ReturnType<typeof measureRound>>} Round */

/** @param {Hub} hub @param {string} base */
async function measureRound(hub, base) {
  const callee = await startActor(base, 'callee')
  let caller = await startActor(base, 'caller')
  try {
    const frames = async (/** @type {'bare' | 'together'} */ by) => {
      const before = (await hub.stats()).frames
      await caller.ask('burst', { by, calls: BURST })
      return (await hub.stats()).frames - before
    }
    const many = Array.from({ length: 400 }, (_, n) => n)
    const lone = async (/** @type {'bare' | 'together'} */ by) =>
      median(await caller.ask('each', { by, name: 'like', inputs: many }))
    // Warm, and the method known on the way.
    for (const by of /** @type {const} */ (['bare', 'together'])) {
      await caller.ask('burst', { by, calls: BURST })
      await lone(by)
    }
    const batching = {
      bareFrames: await frames('bare'),
      batchedFrames: await frames('together'),
      bareLoneMs: await lone('bare'),
      batchedLoneMs: await lone('together'),
    }
    const each = async (
      /** @type {string} */ by,
      /** @type {string} */ name,
      /** @type {number[]} */ inputs,
    ) => median(await caller.ask('each', { by, name, inputs }))
    const inputs = many.slice(0, 25)
    const caching = {
      firstMs: await each('kept', 'work', inputs),
      repeatMs: await each('kept', 'work', [...inputs, ...inputs, ...inputs, ...inputs]),
      emptyMs: await each('bare', 'empty', many),
    }
    /** @type {Record<string, { peakBytes: number, grownBytes: number }>} */
    const reads = {}
    for (const [name, collects] of /** @type {const} */ ([
      ['streamed', false],
      ['collected', true],
    ])) {
      await caller.end()
      caller = await startActor(base, 'caller')
      reads[name] = await caller.ask('read', { bytes: STREAM_BYTES, collects })
    }
    const streaming = {
      streamedPeakBytes: reads.streamed.peakBytes,
      streamedGrownBytes: reads.streamed.grownBytes,
      collectedPeakBytes: reads.collected.peakBytes,
      collectedGrownBytes: reads.collected.grownBytes,
    }
    return { batching, caching, streaming }
  } finally {
    await caller.end()
    await callee.end()
  }
}

/** Medians of all figures, and of what each round saved. @param {Round[]} rounds */
function medians(rounds) {
  /** @param {(round: Round) => number} figure */
  const of = (figure) => median(rounds.map(figure))
  /** @template {Record<string, number>} T @param {(round: Round) => T} part @returns {T} */
  const all = (part) => {
    const names = Object.keys(part(rounds[0]))
    return /** @type {T} */ (
      Object.fromEntries(names.map((name) => [name, of((round) => part(round)[name])]))
    )
  }
  return {
    batching: all(({ batching }) => batching),
    caching: all(({ caching }) => caching),
    streaming: all(({ streaming }) => streaming),
    saved: {
      frames: of(({ batching }) => saved(batching.batchedFrames, batching.bareFrames)),
      repeatTime: of(({ caching }) => saved(caching.repeatMs, caching.firstMs)),
      memoryGrown: of(({ streaming }) => saved(streaming.streamedGrownBytes, streaming.collectedGrownBytes)),
      memoryPeak: of(({ streaming }) => saved(streaming.streamedPeakBytes, streaming.collectedPeakBytes)),
    },
  }
}

/** @param {ReturnType<typeof medians> & { rounds: number }} results */
function shown({ batching, caching, streaming, saved, rounds }) {
  const share = (/** @type {number} */ part) => `${(100 * part).toFixed(1)} %`
  const ms = (/** @type {number} */ value) => `${value.toPrecision(3)} ms`
  const mb = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`
  const rows = [
    ['', 'saved', 'claimed elsewhere', 'figures'],
    [
      `batching: frames of a burst of ${BURST} like calls`,
      share(saved.frames),
      '20–50 %',
      `${batching.batchedFrames} frames, ${batching.bareFrames} without; a lone call ${ms(batching.batchedLoneMs)}, ${ms(batching.bareLoneMs)} without`,
    ],
    [
      `caching: time of a repeated call of ${WORK_MS} ms of work`,
      share(saved.repeatTime),
      '30–70 %',
      `${ms(caching.repeatMs)}, the first ${ms(caching.firstMs)}; an empty handler, not cached, ${ms(caching.emptyMs)}`,
    ],
    [
      `streaming: memory added by reading ${mb(STREAM_BYTES)} in items of ${ITEM_BYTES / 1024} KiB`,
      share(saved.memoryGrown),
      '50–80 %',
      `${mb(streaming.streamedGrownBytes)} (peak of the process ${mb(streaming.streamedPeakBytes)}), as an array ${mb(streaming.collectedGrownBytes)} (peak ${mb(streaming.collectedPeakBytes)}): peaks ${share(saved.memoryPeak)} apart`,
    ],
  ]
  const [head, ...body] = rows.map((row) => `| ${row.join(' | ')} |\n`)
  return `Medians of ${rounds} rounds; caller, callee and hub are processes of their own.\n\n${head}| --- | --- | --- | --- |\n${body.join('')}`
}

/** @param {object} results */
function keep(results) {
  const folder = fileURLToPath(new URL('./results/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'claims.json'), `${JSON.stringify(results, null, 2)}\n`)
  process.stderr.write('written: bench/results/claims.json\n')
}
