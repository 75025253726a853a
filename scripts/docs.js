/**
 * Writes the parts of the documents that are made of the code: the limits, measurements and runtimes in README.md, and
 * docs/reference/errors.md. `node scripts/docs.js` after a build; test/docs fails while they are stale.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The limits that a user meets, in the order of the table: what each bounds, and the constants that say it. */
const ROWS = [
  ['deadline of a call, when none is given', ['CALL_TIMEOUT_MS']],
  ['one message, trusted peers / all others', ['TRUSTED_MESSAGE_BYTES', 'UNTRUSTED_MESSAGE_BYTES']],
  ['nesting of a value', ['MAX_DEPTH']],
  ['keys and items of one value', ['TRUSTED_MAX_KEYS']],
  ['keys and items of one value of a peer that is not trusted', ['MAX_KEYS']],
  ['payload of one frame; longer messages are cut', ['FRAGMENT_BYTES']],
  ['bytes of items under way on one stream', ['WINDOW_BYTES']],
  ['calls open on one link, trusted peers / all others', ['TRUSTED_MAX_EXCHANGES', 'MAX_EXCHANGES']],
  ['waiting for a link while `notify` and `publish` take more', ['ONE_WAY_QUEUE_BYTES']],
  ['held by the hub for one peer, trusted / all others', ['TRUSTED_QUEUE_BYTES', 'UNTRUSTED_QUEUE_BYTES']],
  ['messages held for one peer, trusted / all others', ['TRUSTED_QUEUE_MESSAGES', 'QUEUE_MESSAGES']],
  ['held by the hub for all peers together', ['HUB_QUEUE_BYTES']],
  ['events waiting for one subscription', ['QUEUE_CAPACITY', 'SUBSCRIPTION_QUEUE_BYTES']],
  ['events kept for subscribers that come back, all topics together', ['HUB_REPLAY_BYTES']],
  ['time and bytes to prove who one is', ['ADMISSION_TIMEOUT_MS', 'ADMISSION_BYTES']],
  ['silence that a peer may declare at once', ['MAX_BUSY_MS']],
  ['functions in the input of one call, calls of them under way', ['MAX_REFERENCES', 'MAX_BACKS']],
  ['how long a kept function may stay unused', ['MAX_LEASE_MS']],
  ['routes on one link, methods on one route', ['MAX_ROUTES', 'MAX_METHODS']],
  ['a body that the hub itself reads', ['HUB_BODY_BYTES', 'HUB_BODY_DEPTH']],
  ['one message of a mailbox', ['MAILBOX_MESSAGE_BYTES']],
  ['one mailbox; beyond it, sends are refused', ['QUOTA_MESSAGES', 'QUOTA_BYTES']],
  ['ids that a receiver remembers', ['DEDUPE_IDS']],
  ['handlers of a mailbox at once', ['HANDLERS']],
  ['starts of a message after the first, from a failure to the next', ['START_RETRIES', 'RETRY_DELAY_MS']],
  ['a handler that keeps its lease itself', ['HANDLER_LEASE_MS']],
  ['acknowledgement awaited, announcements after that', ['ACK_TIMEOUT_MS', 'ANNOUNCEMENTS']],
  ['messages of one sender that wait for an acknowledgement', ['PENDING_ACKS']],
]

/**
 * The table of limits. A row stands in it only when the sources use all of its constants: a limit that
 * nothing applies is no promise.
 *
 * @param {Readonly<Record<string, number>>} limits src/wire/limits.ts and src/mailbox/limits.ts
 * @param {string} sources all other sources
 */
export function limitsTable(limits, sources) {
  const used = (name) => new RegExp(`\\b${name}\\b`).test(sources)
  const rows = ROWS.filter(([, names]) => names.every(used)).map(([what, names]) => {
    const texts = names.map((name) => amount(name, limits[name]))
    return `| ${what} | ${texts.join(' / ')} | ${names.map((name) => `\`${name}\``).join(' ')} |`
  })
  return ['| what is bounded | by | constant |', '| --- | --- | --- |', ...rows].join('\n')
}

function amount(name, value) {
  if (value === undefined) throw new Error(`there is no limit ${name}`)
  if (name.endsWith('_MS')) return value % 1000 === 0 ? `${value / 1000} s` : `${value} ms`
  if (name.endsWith('_BYTES')) {
    if (value % 2 ** 30 === 0) return `${value / 2 ** 30} GiB`
    if (value % 2 ** 20 === 0) return `${value / 2 ** 20} MiB`
    if (value % 2 ** 10 === 0) return `${value / 2 ** 10} KiB`
    return `${value} bytes`
  }
  return value.toLocaleString('en-US')
}

const KINDS = [
  ['code', 'Codes', 'One of a closed set, gRPC’s, with gRPC’s numbers. Decide by it first.'],
  ['reason', 'Reasons', 'A stable word below a code. A declared error’s reason is its own name.'],
  ['close', 'Ends of links', 'Why a link ended, as `peer.closed` says it and as errors of joining have it.'],
]

/**
 * The page of errors.
 *
 * @param {readonly { name: string, kind: string, code: string, what: string, causes: readonly string[],
 *   remedies: readonly string[] }[]} explanations src/cli/explanations.ts
 * @param {Readonly<Record<string, number>>} codes
 * @param {number} firstExit what the command line adds to a code's number
 */
export function errorsPage(explanations, codes, firstExit) {
  const lines = [
    '<!-- Made by scripts/docs.js from src/cli/explanations.ts: change it there. -->',
    '',
    '# Errors',
    '',
    'Every code, reason and end of a link: what it says, where it comes from, what to do. The command line',
    'prints the same: `viaduct explain WORD`. How errors are made and read: [errors](../guides/errors.md).',
  ]
  for (const [kind, title, about] of KINDS) {
    lines.push('', `## ${title}`, '', about)
    for (const { name, code, what, causes, remedies } of explanations.filter((one) => one.kind === kind)) {
      const number = codes[code] ?? 0
      const of = kind === 'code' ? `Code ${number}` : `Code ${code}`
      lines.push(
        '',
        `### ${name}`,
        '',
        `${what}`,
        '',
        `${of}; exit code ${firstExit + number} of \`viaduct call\`.`,
      )
      lines.push('', 'Comes from:', '', ...causes.map((cause) => `- ${markdown(cause)}`))
      lines.push('', 'What to do:', '', ...remedies.map((remedy) => `- ${markdown(remedy)}`))
    }
  }
  return `${lines.join('\n')}\n`
}

/** Text of the explanations as Markdown: what would be read as mark-up stands for itself. */
function markdown(text) {
  return text.replaceAll(/[*_<>|[\]]/g, (mark) => `\\${mark}`)
}

/** Each workload's floor is 1; what is asked of Viaduct, and of it with schemas checked at the callee. */
const GOALS = {
  W1: ['one call after the other', 1],
  W2: ['64 calls in flight', 1.5],
  W3: ['one way', 2],
  W4: ['1 MiB of binary, echoed', 0.9],
  'W4.10MB': ['10 MB as a byte stream, echoed', undefined],
  'W4.100MB': ['100 MB as a byte stream, echoed', undefined],
  W7: ['stream of objects', 1.4],
  'W5.W1': ['through a hub: one after the other', 0.95],
  'W5.W2': ['through a hub: 64 in flight', 1],
  'W5.W3': ['through a hub: one way', 0.9],
  'W5.W4': ['through a hub: 1 MiB of binary, echoed', 1],
  'W5.W4.10MB': ['through a hub: 10 MB as a byte stream', undefined],
  'W5.W4.100MB': ['through a hub: 100 MB as a byte stream', undefined],
  'W5.W7': ['through a hub: stream of objects', undefined],
}

/**
 * The table of ratios, with the machine that they are of.
 *
 * @param {any} result what `npm run bench -- --json FILE` wrote
 */
export function benchTable(result) {
  const { machine, settings, workloads } = result
  const rows = Object.entries(GOALS).flatMap(([id, [what, goal]]) => {
    const found = workloads[id]
    if (!found) return []
    const ratio = (name) => found.contenders[name]?.ratio
    const hub = id.startsWith('W5') ? '-hub' : ''
    const ourName = `viaduct${hub}`
    const own = ratio(ourName)
    const others = Object.entries(found.contenders)
      .filter(([name, { ours }]) => !ours && !name.startsWith(found.floor))
      .sort(([, one], [, other]) => (other.ratio ?? 0) - (one.ratio ?? 0))
      .slice(0, 3)
      .map(([name, { ratio: value }]) => `${name} ${fixed(value)}`)
    const asked = goal === undefined ? '' : `${fixed(goal)}${own >= goal ? '' : ' **missed**'}`
    return [
      `| ${what} | ${fixed(own)} | ${fixed(ratio(`${ourName} zod`))} | ${asked} | ${others.join(', ')} |`,
    ]
  })
  return [
    ...measuredOn(machine, settings),
    '',
    '| | Viaduct | with zod | goal | others, the fastest first |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
}

/** Of what a table's figures are. */
function measuredOn({ cores, cpu, date, loadAfter, loadBefore, node, platform }, { rounds, windowMs }) {
  return [
    `Medians of ${rounds} rounds of ${windowMs / 1000} s, contenders taking turns. ${cpu}, ${cores} cores, ${platform}, Node ${node},`,
    `${date.slice(0, 10)}; load average ${loadBefore} before and ${loadAfter} after. All of it: [bench/results](bench/results).`,
  ]
}

/**
 * The table of durable queues, the fastest first.
 *
 * @param {any} result what `npm run bench -- --json FILE W6` wrote
 */
export function mailboxTable({ machine, settings, workloads }) {
  const { contenders } = workloads.W6
  const ms = (us) => (us === undefined ? '–' : (us / 1000).toFixed(2))
  const rows = Object.entries(contenders)
    .sort(([, one], [, other]) => (other.ratio ?? 0) - (one.ratio ?? 0))
    .map(([name, { ours, ratio, survives, storedP50Us, p50Us, aloneP50Us }]) => {
      const shown = ours ? `**${name}**` : name
      return `| ${shown} | ${survives} | ${fixed(ratio)} | ${ms(storedP50Us)} | ${ms(p50Us)} | ${ms(aloneP50Us)} |`
    })
  return [
    ...measuredOn(machine, settings),
    '',
    '| | survives | ratio | stored, ms | to the handler, ms | the same when idle, ms |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
}

function fixed(value) {
  return value === undefined ? '–' : value.toFixed(2)
}

/**
 * The table of runtimes: what each of them does with the built package, and how many of our own tests passed.
 *
 * @param {any} kept what `npm run test:nodes` wrote
 */
export function runtimesTable({ platform, date, results }) {
  const checks = Object.keys(results[0].checks)
  const rows = results.map(({ name, version, checks: found, tests }) => {
    const cells = checks.map((check) => markdown(found[check]))
    const own = tests
      ? `${tests.passed} of ${tests.passed + tests.failed.length} passed`
      : 'not run: vitest wants Node'
    return `| ${name === 'node' ? 'Node' : name === 'bun' ? 'Bun' : 'Deno'} ${version} | ${cells.join(' | ')} | ${own} |`
  })
  return [
    `${platform}, ${date}. Of our own tests, those that depend on the runtime.`,
    '',
    `| | ${checks.join(' | ')} | own tests |`,
    `| --- | ${checks.map(() => '---').join(' | ')} | --- |`,
    ...rows,
  ].join('\n')
}

/** The text with what stands between `<!-- name -->` and `<!-- /name -->` replaced. */
export function between(text, name, part) {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`there is no ${begin} … ${end}`)
  return `${text.slice(0, from + begin.length)}\n${part}\n${text.slice(to)}`
}

/** All sources but the limits themselves. */
export function readSources(root = ROOT) {
  return readdirSync(join(root, 'src'), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.ts') && !name.endsWith('limits.ts'))
    .map((name) => readFileSync(join(root, 'src', name), 'utf8'))
    .join('\n')
}

/** What was seen on each runtime. */
export function readRuntimes(root = ROOT) {
  return JSON.parse(readFileSync(join(root, 'test/nodes/results.json'), 'utf8'))
}

/** A measurement that the README quotes. */
export function readResult(name, root = ROOT) {
  return JSON.parse(readFileSync(join(root, `bench/results/${name}.json`), 'utf8'))
}

async function main() {
  const limits = {
    ...(await import('../dist/wire/limits.js')),
    ...(await import('../dist/mailbox/limits.js')),
  }
  const { CODES } = await import('../dist/wire/errors.js')
  const { EXPLANATIONS } = await import('../dist/cli/explanations.js')
  const { EXIT } = await import('../dist/cli/failure.js')
  const readme = join(ROOT, 'README.md')
  const text = between(readFileSync(readme, 'utf8'), 'limits', limitsTable(limits, readSources()))
  const linked = between(text, 'bench', benchTable(readResult('latest')))
  const measured = between(linked, 'mailbox', mailboxTable(readResult('mailbox')))
  writeFileSync(readme, between(measured, 'runtimes', runtimesTable(readRuntimes())))
  writeFileSync(join(ROOT, 'docs/reference/errors.md'), errorsPage(EXPLANATIONS, CODES, EXIT.CALL))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
