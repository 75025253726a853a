import type { PolicyStats } from '../core/interceptor.ts'
import { ViaductError } from '../wire/errors.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import type { Port } from './port.ts'

/** What one policy of a peer has counted since it was made. */
export interface PolicyReport {
  readonly policy: string
  /** What it stands at: the name of a contract. */
  readonly name?: string
  readonly method?: string
  readonly stats: PolicyStats
}

/** One row of the policies in `$hub.stats`. */
export interface PolicyRow extends PolicyReport {
  readonly peer: string
}

/** Retries reported since the hub began, by peer and, where that is told, by method. They never become fewer. */
export interface Retries {
  readonly peers: ReadonlyMap<string, number>
  readonly methods: ReadonlyMap<string, number>
}

/** Policies in one report. */
const MAX_POLICIES = 256
/** Counts of one policy, and characters of a text among them. */
const MAX_STATS = 64
const MAX_TEXT = 128
const MAX_NAME = 256
/** Peers and methods whose retries are added up. */
const MAX_COUNTED = 4096

/** The last report of each peer that is connected. */
export class PolicyReports {
  readonly #reports = new Map<Port, readonly PolicyReport[]>()
  readonly #retries = { peers: new Map<string, number>(), methods: new Map<string, number>() }

  /**
   * Takes `$hub.report`: it replaces what this peer has reported before.
   *
   * @throws ViaductError INVALID_ARGUMENT / BAD_REPORT with the path; then the last one stands.
   */
  take(port: Port, input: unknown): void {
    const reports = readReports(input)
    const before = retriesIn(this.#reports.get(port) ?? [])
    for (const [method, count] of retriesIn(reports)) {
      const more = Math.max(0, count - (before.get(method) ?? 0))
      addTo(this.#retries.peers, port.info.id, more)
      if (method !== undefined) addTo(this.#retries.methods, method, more)
    }
    this.#reports.set(port, reports)
  }

  forget(port: Port): void {
    this.#reports.delete(port)
  }

  rows(): PolicyRow[] {
    return [...this.#reports].flatMap(([{ info }, reports]) =>
      reports.map((report) => ({ peer: info.id, ...report })),
    )
  }

  retries(): Retries {
    return { peers: new Map(this.#retries.peers), methods: new Map(this.#retries.methods) }
  }
}

function addTo(counts: Map<string, number>, name: string, more: number): void {
  const before = counts.get(name)
  if (more > 0 && (before !== undefined || counts.size < MAX_COUNTED)) counts.set(name, (before ?? 0) + more)
}

/** What policies called `retry` have counted as `retries`, by method. */
function retriesIn(reports: readonly PolicyReport[]): Map<string | undefined, number> {
  const found = new Map<string | undefined, number>()
  for (const { policy, method, stats } of reports) {
    const { retries } = stats
    if (policy === 'retry' && typeof retries === 'number') {
      found.set(method, (found.get(method) ?? 0) + retries)
    }
  }
  return found
}

function readReports(input: unknown): PolicyReport[] {
  const list = fieldOf(input, 'policies')
  if (!Array.isArray(list) || list.length > MAX_POLICIES) {
    throw bad('policies', `a list of at most ${MAX_POLICIES}: { policy, name?, method?, stats }`)
  }
  return list.map((entry: unknown, at) => readReport(entry, `policies[${at}]`))
}

function readReport(entry: unknown, path: string): PolicyReport {
  const { policy, name, method, stats }: { [key: string]: unknown } =
    typeof entry === 'object' && entry !== null ? { ...entry } : {}
  if (!isName(policy)) throw bad(`${path}.policy`, `1 to ${MAX_NAME} characters`)
  if (name !== undefined && !isName(name)) throw bad(`${path}.name`, `1 to ${MAX_NAME} characters`)
  if (method !== undefined && !isName(method)) throw bad(`${path}.method`, `1 to ${MAX_NAME} characters`)
  if (!isStats(stats)) {
    throw bad(
      `${path}.stats`,
      `at most ${MAX_STATS} numbers, or texts of at most ${MAX_TEXT} characters, by name`,
    )
  }
  return {
    policy,
    ...(name === undefined ? {} : { name }),
    ...(method === undefined ? {} : { method }),
    stats,
  }
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_NAME
}

function isStats(value: unknown): value is PolicyStats {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const entries = Object.entries(value)
  return entries.length <= MAX_STATS && entries.every(([key, one]) => key.length <= MAX_TEXT && isStat(one))
}

function isStat(value: unknown): boolean {
  return typeof value === 'number' || (typeof value === 'string' && value.length <= MAX_TEXT)
}

function bad(path: string, wanted: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `$hub.report: input.${path}: ${wanted}`, {
    reason: 'BAD_REPORT',
    path: `input.${path}`,
  })
}
