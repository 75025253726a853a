import { fstatSync } from 'node:fs'
import { stdioFault } from '../transports/stdio.ts'
import { ViaductError } from '../wire/errors.ts'
import { errnoOf } from './errno.ts'

/** What VIADUCT_FD says of a child that speaks over its stdin and stdout. */
export const STDIO = 'stdio'

export interface InheritedLink {
  readonly app: string
  readonly id: string
  /**
   * The descriptor of a socket, or stdin and stdout; the caller's to open. Its end is the signal to exit: the
   * supervisor has gone or wants us to.
   */
  readonly fd: number | typeof STDIO
}

/**
 * A supervised child's end of its link, or undefined for a process that no supervisor started. May be taken
 * once: VIADUCT_FD is removed, so that programs which this process starts do not take the link for theirs.
 *
 * @throws ViaductError FAILED_PRECONDITION / BAD_LINK_DESCRIPTOR: VIADUCT_FD names no open socket, and no stdin and stdout
 * that could be a link
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
  return { app, id, fd: number === STDIO ? STDIO : Number(number) }
}

function faultOf(number: string): string {
  if (number === STDIO) return stdioFault() && `needs both to be pipes, but ${stdioFault()}`
  if (!/^\d{1,9}$/.test(number)) return 'is no descriptor number'
  try {
    const found = fstatSync(Number(number))
    return found.isSocket() || process.platform === 'win32' ? '' : 'is no socket'
  } catch (error) {
    return `is not open (${errnoOf(error)})`
  }
}
