import { fstatSync } from 'node:fs'
import { ViaductError } from '../wire/errors.ts'
import { errnoOf } from './errno.ts'

export interface InheritedLink {
  readonly app: string
  readonly id: string
  /** The descriptor of a socket, the caller's to open. Its end is the signal to exit: the supervisor has gone or wants us to. */
  readonly fd: number
}

/**
 * A supervised child's end of its link, or undefined for a process that no supervisor started. May be taken
 * once: VIADUCT_FD is removed, so that programs which this process starts do not take the link for theirs.
 *
 * @throws ViaductError FAILED_PRECONDITION / BAD_LINK_DESCRIPTOR: VIADUCT_FD names no open socket
 */
export function inheritedLink(env: NodeJS.ProcessEnv = process.env): InheritedLink | undefined {
  const { VIADUCT_FD: number, VIADUCT_APP: app = '', VIADUCT_ID: id = '' } = env
  if (number === undefined) return undefined
  delete env.VIADUCT_FD
  const fault = faultOf(number)
  if (fault) {
    throw new ViaductError(
      'FAILED_PRECONDITION',
      `VIADUCT_FD is ${JSON.stringify(number)}, which ${fault}: a program between the supervisor and this one must pass the ` +
        'descriptor on, or VIADUCT_FD is left over and must be removed',
      { reason: 'BAD_LINK_DESCRIPTOR' },
    )
  }
  return { app, id, fd: Number(number) }
}

function faultOf(number: string): string {
  if (!/^\d{1,9}$/.test(number)) return 'is no descriptor number'
  try {
    const found = fstatSync(Number(number))
    return found.isSocket() || process.platform === 'win32' ? '' : 'is no socket'
  } catch (error) {
    return `is not open (${errnoOf(error)})`
  }
}
