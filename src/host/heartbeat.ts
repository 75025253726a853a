/**
 * Tells a hung event loop from one that had no chance to answer. A child is pinged each `everyMs` and has
 * 4/5 of that to answer; after `misses` answers in a row that did not come it is hung. With the default
 * figures that is at most 5 + 5 + 4 = 14 s after the loop stopped.
 *
 * Not counted are: time in which this process itself did not run (a suspended machine, a stopped process
 * tree, a busy loop of our own), and children of which `resting` says that they may be silent.
 */
import { type HostClock, patientTimeout } from './clock.ts'
import { readProcess } from './processInfo.ts'

export interface HeartbeatLimits {
  /** Time from ping to ping. `Infinity`: none are sent. */
  readonly everyMs: number
  /** Pings in a row without an answer. */
  readonly misses: number
}

export const HEARTBEAT_DEFAULTS: HeartbeatLimits = { everyMs: 5_000, misses: 2 }

const ANSWER_SHARE = 0.8
/** A timer that is later than this share of `everyMs`, and than the floor, shows that we did not run. */
const LATE_SHARE = 0.2
const LATE_FLOOR_MS = 100

/** How late a timer may be before it is no evidence against anybody. */
export function lateMsOf(limits: HeartbeatLimits): number {
  const { everyMs } = Number.isFinite(limits.everyMs) ? limits : HEARTBEAT_DEFAULTS
  return Math.max(LATE_FLOOR_MS, everyMs * LATE_SHARE)
}

export interface Heartbeat {
  readonly clock: HostClock
  readonly limits: HeartbeatLimits
  readonly pid: number
  /** Settles when the answer came. A rejection is no answer. */
  ping(): Promise<void>
  /** True while silence means nothing: a debugger is attached, or the child said that it will be busy. */
  resting(): boolean
  /** Told once, with a line of evidence. Nothing is pinged after that. */
  onHung(evidence: string): void
}

/** @returns a function that ends it */
export function startHeartbeat(heartbeat: Heartbeat): () => void {
  const { clock, limits, pid } = heartbeat
  const lateMs = lateMsOf(limits)
  let cancel = () => {}
  let number = 0
  let answered = 0
  let misses = 0
  let lastAnswer = clock.now()
  let cpuMs: number | undefined

  const forgive = () => {
    misses = 0
  }
  const wait = (ms: number, then: () => void) => {
    cancel = patientTimeout(clock, ms, lateMs, then, forgive)
  }
  const beat = () => {
    const own = ++number
    const onAnswer = () => {
      lastAnswer = clock.now()
      misses = 0
      answered = Math.max(answered, own)
    }
    heartbeat.ping().then(onAnswer, () => {})
    wait(limits.everyMs * ANSWER_SHARE, check)
  }
  const check = () => {
    if (answered < number) {
      if (heartbeat.resting()) forgive()
      else miss()
    }
    if (misses < limits.misses) wait(limits.everyMs * (1 - ANSWER_SHARE), beat)
    // An answer may lie in the socket unread: give the loop one turn to read it.
    else wait(0, conclude)
  }
  const miss = () => {
    if (misses++ === 0) cpuMs = readProcess(pid)?.cpuMs
  }
  const conclude = () => {
    if (misses >= limits.misses) heartbeat.onHung(evidenceOf(pid, clock.now() - lastAnswer, misses, cpuMs))
    else beat()
  }
  wait(limits.everyMs, beat)
  return () => cancel()
}

const STATES: Readonly<Record<string, string>> = {
  R: 'running',
  S: 'waiting',
  D: 'waiting for a device',
  T: 'stopped by a signal',
  t: 'held by a debugger',
  Z: 'dead',
}

function evidenceOf(pid: number, silentMs: number, misses: number, cpuBefore: number | undefined): string {
  const line = `no pong for ${Math.round(silentMs)} ms, ${misses} heartbeats missed`
  const now = readProcess(pid)
  if (!now) return line
  const used =
    cpuBefore === undefined ? '' : `, ${now.cpuMs - cpuBefore} ms of processor time since the first miss`
  return `${line}; the process is ${STATES[now.state] ?? `in state ${now.state}`}${used}`
}
