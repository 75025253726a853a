/** Options of `viaduct mailbox`. */
import { join } from 'node:path'

const DEFAULT_ROOT = join('data', 'ipc')

export interface MailboxFlags {
  readonly root?: string | undefined
  readonly store?: string | undefined
  readonly data?: string | undefined
  readonly ack?: boolean | undefined
  readonly delay?: string | undefined
  readonly timeout?: string | undefined
  readonly reason?: string | undefined
  readonly limit?: string | undefined
  readonly all?: boolean | undefined
  readonly yes?: boolean | undefined
  readonly 'older-than'?: string | undefined
  readonly 'dry-run'?: boolean | undefined
}

export function rootOf(flags: MailboxFlags): string {
  return flags.root ?? DEFAULT_ROOT
}
