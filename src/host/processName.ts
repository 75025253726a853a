/**
 * Names of processes that no other process ever has, so that what one left on the disk can be told from what another
 * still owns: `<boot>-<pid namespace>-<pid>-<start>-<nonce>`, of `[a-z0-9-]`, at most 80 characters.
 */
import { readFileSync, readlinkSync } from 'node:fs'
import { isRunning, readProcess } from './processInfo.ts'

const NAME = /^([0-9a-f]{8})-(\d{1,20})-(\d{1,10})-(\d{1,20})-([0-9a-z]{1,32})$/
/** Where the system does not tell. */
const UNKNOWN = '0'

/** A new name for this process; `nonce` tells apart several things of its own: `[0-9a-z]{1,32}`. */
export function processName(nonce: string): string {
  const start = readProcess(process.pid)?.start ?? UNKNOWN
  return `${bootId()}-${pidNamespace()}-${process.pid}-${start}-${nonce}`
}

/** The pid in a name of a process; undefined for what is none. */
export function pidOf(name: string): number | undefined {
  const pid = NAME.exec(name)?.[3]
  return pid === undefined ? undefined : Number(pid)
}

export function isProcessName(name: string): boolean {
  return NAME.test(name)
}

/**
 * Whether the process of that name runs. Undefined when this cannot be told from here: it is of another container, so
 * its pid means nothing to us. One of an earlier boot of the machine is dead.
 */
export function isNamedProcessRunning(name: string): boolean | undefined {
  const [, itsBoot, itsNamespace, pid, start] = NAME.exec(name) ?? []
  if (itsBoot !== bootId()) return false
  if (itsNamespace !== pidNamespace()) return undefined
  if (!isRunning(Number(pid))) return false
  return start === UNKNOWN || readProcess(Number(pid))?.start === start
}

// Neither changes while a process lives, and who looks after many folders asks often.
let boot: string | undefined
let namespace: string | undefined

function bootId(): string {
  boot ??= read(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8), '00000000')
  return boot
}

function pidNamespace(): string {
  namespace ??= read(() => /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0], UNKNOWN)
  return namespace
}

function read(get: () => string | undefined, otherwise: string): string {
  try {
    return get() ?? otherwise
  } catch {
    return otherwise
  }
}
