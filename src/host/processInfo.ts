/** What the system says of a process. Read from /proc, so of Linux only; elsewhere there is less to know. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { errnoOf } from './errno.ts'

export interface ProcessInfo {
  /** One letter: R runs, S and D wait, T is stopped, t is held by a debugger, Z is dead and not yet collected. */
  readonly state: string
  /** When it started, in clock ticks since the machine did. With the pid it names one process for good. */
  readonly start: string
  /** Processor time it has used, milliseconds. */
  readonly cpuMs: number
}

/** Linux reports ticks of 1/100 s to every program, whatever the kernel was built with. */
const MS_PER_TICK = 10

/** Undefined when there is no such process, or no /proc to read. */
export function readProcess(pid: number): ProcessInfo | undefined {
  const text = readProc(pid, 'stat')
  // The name stands in parentheses and may hold anything, so count from the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, start] = [fields[0], fields[19]]
  if (!state || !start) return undefined
  return { state, start, cpuMs: (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK }
}

/** Whether a process of that pid runs. A dead one that nobody has collected does not count. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    return errnoOf(error) === 'EPERM'
  }
  const state = readProcess(pid)?.state
  return state !== 'Z' && state !== 'X'
}

/** Whether a debugger or tracer holds the process. */
export function isTraced(pid: number): boolean {
  return /^TracerPid:\s*[1-9]/m.test(readProc(pid, 'status'))
}

/** What the kernel says that it waits in; '' when it runs, or when there is nothing to read. */
export function waitsIn(pid: number): string {
  const name = readProc(pid, 'wchan').trim()
  return name === '0' ? '' : name
}

/**
 * Whether the process has a TCP connection open that came in at one of these ports of its own. Undefined where there
 * is no /proc to ask.
 */
export function hasConnectionAt(pid: number, ports: ReadonlySet<number>): boolean | undefined {
  const tables = [readProc(pid, 'net/tcp'), readProc(pid, 'net/tcp6')]
  if (tables.every((table) => table === '')) return undefined
  const inodes = new Set(
    tables.flatMap((table) =>
      table.split('\n').flatMap((line) => {
        const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
        const port = Number.parseInt(local.slice(local.lastIndexOf(':') + 1), 16)
        return state === ESTABLISHED && ports.has(port) && inode ? [`socket:[${inode}]`] : []
      }),
    ),
  )
  return inodes.size > 0 && descriptorsOf(pid).some((held) => inodes.has(held))
}

const ESTABLISHED = '01'

/** What its descriptors stand for, as `socket:[1234]`. */
function descriptorsOf(pid: number): string[] {
  const folder = `/proc/${pid}/fd`
  try {
    return readdirSync(folder).flatMap((fd) => {
      try {
        return [readlinkSync(`${folder}/${fd}`)]
      } catch {
        return [] // Closed meanwhile.
      }
    })
  } catch {
    return []
  }
}

function readProc(pid: number, file: 'stat' | 'status' | 'wchan' | 'net/tcp' | 'net/tcp6'): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
