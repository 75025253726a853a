import { readFileSync, writeFileSync } from 'node:fs'

/**
 * Processor time and memory. A process is asked about itself; a broker's server, which is no Node process, is
 * read from /proc (to a hundredth of a second), and where that is missing it is unknown.
 */

const TICK_US = 10_000

/** @param {number} [pid] another process; without it this one */
export function usage(pid) {
  const from = cpuUs(pid)
  return {
    /** Since the call of `usage`; NaN where unknown. */
    cpuUs: () => cpuUs(pid) - from,
  }
}

/** @param {number} [pid] */
function cpuUs(pid) {
  if (pid === undefined) {
    const { user, system } = process.cpuUsage()
    return user + system
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK_US
  } catch {
    return Number.NaN
  }
}

/** Resident bytes now. @param {number} [pid] */
export function residentBytes(pid) {
  return fromStatus(pid, 'VmRSS') ?? (pid === undefined ? process.memoryUsage.rss() : Number.NaN)
}

/** The most that was resident since `forgetPeak`, or since the start where that is not possible.
 * @param {number} [pid] */
export function peakBytes(pid) {
  return fromStatus(pid, 'VmHWM') ?? (pid === undefined ? process.resourceUsage().maxRSS * 1024 : Number.NaN)
}

/** @param {number} [pid] */
export function forgetPeak(pid) {
  try {
    writeFileSync(`/proc/${pid ?? 'self'}/clear_refs`, '5')
  } catch {
    // Not Linux: the peak is then that of the whole life of the process.
  }
}

/** @param {number | undefined} pid @param {string} field */
function fromStatus(pid, field) {
  try {
    const found = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(
      readFileSync(`/proc/${pid ?? 'self'}/status`, 'latin1'),
    )
    return found ? Number(found[1]) * 1024 : undefined
  } catch {
    return undefined
  }
}
