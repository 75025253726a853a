import type { MailboxLog } from './options.ts'

/** A mailbox's log with its name in each line. What a log throws ends nothing. */
export function groupLog(log: MailboxLog | undefined, group: string): MailboxLog {
  if (!log) return () => {}
  return (level, text, fields) => {
    try {
      log(level, text, { group, ...fields })
    } catch {
      // There is nobody to tell of it.
    }
  }
}
