/** The bounds and defaults of a mailbox that the README names, in one place. */

/** Longest body of one message. */
export const MAILBOX_MESSAGE_BYTES = 10 * 1024 * 1024
/** What one mailbox takes, messages and their bytes; beyond it `send` refuses. */
export const QUOTA_MESSAGES = 1_000_000
export const QUOTA_BYTES = 1024 * 1024 * 1024
/** Ids that a receiver remembers after they are over. */
export const DEDUPE_IDS = 100_000
/** Handlers that run at once. */
export const HANDLERS = 16
/** Starts of a message after the first; then it is a dead letter. */
export const START_RETRIES = 3
/** From a failure to the next start, and from one announcement to the next. */
export const RETRY_DELAY_MS = 5_000
/** The time of a handler that keeps its lease itself. */
export const HANDLER_LEASE_MS = 30_000
/** Until an acknowledgement is late. */
export const ACK_TIMEOUT_MS = 30_000
/** How often a message is announced again then. */
export const ANNOUNCEMENTS = 3
/** Messages whose acknowledgement one sender waits for at once. */
export const PENDING_ACKS = 10_000
