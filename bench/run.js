import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { noDisk, syncMs } from './lib/disk.js'
import { measureRound } from './lib/measure.js'
import { picture } from './lib/picture.js'
import { openTheatre } from './lib/stage.js'
import { summarise } from './lib/statistics.js'
import { table } from './lib/table.js'
import { WORKLOADS, workloadsNamed } from './lib/workloads.js'

/** `run.js [--quick] [--json FILE] [--only NAME,NAME] [W1 W2 …]`, `run.js claims [--quick] [--json]`; see README.md beside this file. */

/** @typedef {import('./lib/contender.js').Contender} Contender */

const CONTENDERS = new URL('./contenders/', import.meta.url)
const RESULTS = fileURLToPath(new URL('./results/', import.meta.url))
const USAGE =
  'usage: npm run bench -- [--quick] [--json FILE] [--only NAME,NAME] [W1 W2 W3 W4 W5 W6 W7 …] | claims [--quick] [--json]'

if (process.argv[2] === 'claims') {
  const { values } = parseArgs({
    args: process.argv.slice(3),
    options: { quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  })
  const { measureClaims } = await import('./claims.js')
  await measureClaims(values)
  process.exit(0)
}

const { ids: asked, only, settings, jsonFile } = readArguments()
const memory = noDisk()
const ids = asked.filter((id) => !memory || WORKLOADS[id].shape !== 'durable')
const isDurable = ids.some((id) => WORKLOADS[id].shape === 'durable')
/** Everything measured, by workload and contender. @type {Record<string, Map<string, import('./lib/measure.js').Figures[]>>} */
const rounds = {}
/** @type {{ contender: string, workload: string, error: string, ours?: boolean }[]} */
const failures = []
const { contenders, skipped } = await loadContenders()
for (const id of asked) if (!ids.includes(id)) skipped.push({ name: id, reason: `${memory}` })

const theatre = await openTheatre()
for (const [signal, code] of /** @type {const} */ ([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
]))
  process.once(signal, () => theatre.close().finally(() => process.exit(code)))

const startedAt = new Date()
const loadBefore = loadavg()[0]
const fdatasyncMs = isDurable ? syncMs() : undefined
for (const { name, reason } of skipped) say(`SKIPPED ${name}: ${reason}\n`)
for (const id of ids) await measureWorkload(id)
const results = summary()
const { cpu, cores, node, loadAfter } = results.machine
process.stdout.write(
  `${cpu}, ${cores} cores, Node ${node}; ${settings.rounds} rounds of ${settings.windowMs} ms; load average ${loadBefore.toFixed(1)} before, ${loadAfter.toFixed(1)} after${fdatasyncMs === undefined ? '' : `; fdatasync of 4 KiB ${fdatasyncMs.toFixed(2)} ms`}\n\n`,
)
for (const id of ids) print(id)
if (jsonFile) keep(jsonFile)
for (const { contender, workload, error } of failures) say(`FAILED ${contender} in ${workload}: ${error}\n`)
for (const { name, reason } of skipped) say(`SKIPPED ${name}: ${reason}\n`)
await theatre.close()
// Ours and the floors must work; a peer that does not is only reported.
const fatal = failures.some(
  ({ contender, workload, ours }) => ours || WORKLOADS[workload]?.floor === contender,
)
process.exit(fatal ? 1 : 0)

/**
 * All contenders of a workload, one after the other in each round, so that a change of the machine meets all;
 * each round begins with the next one, so that nobody always follows the same neighbour.
 * @param {string} id
 */
async function measureWorkload(id) {
  const workload = WORKLOADS[id]
  const able = contenders.filter(({ contender }) => isAble(contender, workload))
  rounds[id] = new Map()
  for (let round = 0; round < settings.rounds; round++) {
    for (let place = 0; place < able.length; place++) {
      const { contender, file } = able[(place + round) % able.length]
      if (failures.some((failure) => failure.contender === contender.name && failure.workload === id))
        continue
      progress(`${id}  round ${round + 1} of ${settings.rounds}  ${contender.name}`)
      try {
        const figures = await theatre.perform(contender, file, id, (stage) =>
          measureRound(stage, workload, settings),
        )
        const list = rounds[id].get(contender.name) ?? []
        list[round] = figures
        rounds[id].set(contender.name, list)
      } catch (error) {
        const failure = {
          contender: contender.name,
          workload: id,
          error: described(error),
          ours: contender.ours,
        }
        failures.push(failure)
        progress('')
        say(`FAILED ${failure.contender} in ${id}: ${failure.error}\n`)
      }
    }
  }
  progress('')
}

/** @param {Contender} contender @param {import('./lib/workloads.js').Workload} workload */
function isAble({ kind, name, workloads }, workload) {
  return (
    kind === workload.kind &&
    workloads.some((one) => one === workload.needs) &&
    (!only || only.includes(name) || name === workload.floor)
  )
}

function summary() {
  const processors = cpus()
  return {
    machine: {
      cpu: processors[0]?.model.trim() ?? 'unknown',
      cores: processors.length,
      memoryBytes: totalmem(),
      platform: `${process.platform} ${process.arch}`,
      node: process.versions.node,
      date: startedAt.toISOString(),
      ...(fdatasyncMs !== undefined && { fdatasyncMs }),
      loadBefore,
      loadAfter: loadavg()[0],
    },
    settings,
    workloads: Object.fromEntries(
      ids.map((id) => {
        const { title, unit, floor } = WORKLOADS[id]
        const floorRounds = rounds[id].get(floor) ?? []
        const figures = contenders.flatMap(({ contender: { name, ours, survives } }) => {
          const list = rounds[id].get(name)
          return list
            ? [
                [
                  name,
                  { ...(ours && { ours }), ...(survives && { survives }), ...summarise(list, floorRounds) },
                ],
              ]
            : []
        })
        return [id, { title, unit, floor, contenders: Object.fromEntries(figures) }]
      }),
    ),
    skipped,
    failures,
  }
}

/** @param {string} id */
function print(id) {
  const measured = results.workloads[id].contenders
  const notes = contenders
    .filter(({ contender: { name, note } }) => note && measured[name])
    .map(({ contender: { name, note } }) => `${name}: ${note}`)
  process.stdout.write(`${table(id, WORKLOADS[id], measured, notes)}\n`)
}

/** @param {string} file */
function keep(file) {
  const image = `${file.replace(/\.json$/, '')}.svg`
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`)
  writeFileSync(image, picture(results))
  say(`written: ${file}\nwritten: ${image}\n`)
}

async function loadContenders() {
  /** @type {{ contender: Contender, file: string }[]} */
  const contenders = []
  /** @type {{ name: string, reason: string }[]} */
  const skipped = []
  for (const name of readdirSync(CONTENDERS)
    .filter((name) => name.endsWith('.js'))
    .sort()) {
    const file = new URL(name, CONTENDERS).href
    for (const contender of /** @type {Contender[]} */ ([(await import(file)).default].flat())) {
      // What is not asked for need not be there, or be fetched.
      if (!ids.some((id) => isAble(contender, WORKLOADS[id]))) continue
      try {
        const reason = await contender.unavailable?.()
        if (reason) skipped.push({ name: contender.name, reason })
        else contenders.push({ contender, file })
      } catch (error) {
        failures.push({
          contender: contender.name,
          workload: 'loading',
          error: described(error),
          ours: contender.ours,
        })
      }
    }
  }
  /** Floors first, ours last. @param {Contender} contender */
  const order = ({ name, ours }) =>
    Object.values(WORKLOADS).some(({ floor }) => floor === name) ? 0 : ours ? 2 : 1
  contenders.sort((a, b) => order(a.contender) - order(b.contender))
  return { contenders, skipped }
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'string' },
        only: { type: 'string' },
      },
    })
    const ids = Object.keys(WORKLOADS).filter(
      (id) => positionals.length === 0 || positionals.some((name) => workloadsNamed(name).includes(id)),
    )
    const unknown = positionals.find((name) => workloadsNamed(name).length === 0)
    if (unknown) throw new Error(`there is no workload ${unknown}`)
    const settings = values.quick
      ? { quick: true, rounds: 3, windowMs: 500, warmMs: 1000 }
      : { quick: false, rounds: 5, windowMs: 1500, warmMs: 1500 }
    // A bare name is a file in bench/results; anything with a folder is taken as it is.
    const json = values.json
    const jsonFile =
      json && (dirname(json) === '.' && !json.startsWith('.') ? join(RESULTS, json) : resolve(json))
    return { ids, only: values.only?.split(','), settings, jsonFile }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${USAGE}\n`)
    process.exit(2)
  }
}

/** @param {unknown} error */
function described(error) {
  return error instanceof Error ? error.message : String(error)
}

/** @param {string} text */
function say(text) {
  process.stderr.write(text)
}

/** @param {string} text */
function progress(text) {
  if (process.stderr.isTTY) say(`\r\x1b[K${text}`)
  else if (text) say(`${text}\n`)
}
