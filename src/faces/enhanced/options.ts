import { stderrLog } from '../../mailbox/log.ts'
import { type MailboxOptions, readMailboxOptions, readReceiveOptions } from '../../mailbox/options.ts'
import { badOption } from '../../policies/options.ts'

/** S2's constants among them, in milliseconds; what is left out is as S2 has it. */
export interface EnhancedIPCOptions
  extends Pick<MailboxOptions, 'durability' | 'ackTimeoutMs' | 'maxRetries' | 'retryDelayMs' | 'log'> {
  /** The folder of the groups; default `data/ipc`. */
  readonly root?: string
  /** Handlers that run at once in each group; default 16. With 1, a message is handled after the one before it. */
  readonly concurrency?: number
  readonly heartbeat?: HeartbeatOptions
}

/** Tells groups that this process lives. */
export interface HeartbeatOptions {
  readonly groups: readonly string[]
  /** Default 10,000. */
  readonly everyMs?: number
  /** Asked before each; default `active`. */
  readonly status?: () => string
}

const ROOT = 'data/ipc'

/** @throws ViaductError INVALID_ARGUMENT / BAD_OPTION with the path of the option */
export function readEnhancedOptions(options: EnhancedIPCOptions = {}) {
  const { heartbeat, concurrency, root = ROOT, log = stderrLog, ...rest } = options
  const mailbox = { ...rest, root, log, store: 'folder' } as const
  const { maxRetries, retryDelayMs, ackTimeoutMs } = readMailboxOptions({ ...mailbox, group: 'any' })
  const receive = { maxRetries, retryDelayMs, ...(concurrency === undefined ? {} : { concurrency }) }
  readReceiveOptions(receive)
  if (heartbeat && !(Array.isArray(heartbeat.groups) && (heartbeat.everyMs ?? 1) > 0)) {
    throw badOption('enhanced', 'heartbeat', 'give groups, and milliseconds over 0 as everyMs')
  }
  return { root, log, mailbox, receive, heartbeat, ackTimeoutMs }
}

export type EnhancedSettings = ReturnType<typeof readEnhancedOptions>
