/** The durable mailbox: messages on disk, delivered at least once. */

export type { Durability } from './appendLog.ts'
export { type Mailboxes, type MailboxesOptions, mailboxes } from './durable.ts'
export { Mailbox, type MailboxStats } from './mailbox.ts'
export type { MailMessage } from './message.ts'
export type {
  Delivery,
  LogLevel,
  MailboxEvents,
  MailboxLog,
  MailboxOptions,
  MailHandler,
  ReceiveOptions,
  SendOptions,
  StoreKind,
  WaitForAckOptions,
} from './options.ts'
export type { Priority } from './priority.ts'
export type { Receiver } from './receiver.ts'
export type { ReceiverStats } from './station.ts'
