import type { Arrival } from './message.ts'

/** What is known of a message that a store has found. */
export type Known = 'open' | 'done' | 'dead'

/**
 * What the receiver remembers over restarts: which messages are done or dead, and how often each of the others was
 * started. It alone counts attempts.
 */
export interface Journal {
  known(arrival: Arrival): Known
  /** Starts so far. */
  starts(id: string): number
  /**
   * Started when the last receiver ended, and not over. Each is to be started again alone, so that only the one that
   * kills its process is charged for it.
   */
  readonly suspects: ReadonlySet<string>
  /**
   * Counts a start, before it happens: when this returns, the count survives the end of the process, though not a
   * loss of power. At most as many at once as the journal was opened for.
   *
   * @returns which start it is: 1, 2 …
   */
  start(id: string): number
  /** The start ended, and another will follow; settles when a next receiver will know. */
  failed(arrival: Arrival): Promise<void>
  /** Settles when it is on stable storage that the message is never to be started again. */
  done(arrival: Arrival): Promise<void>
  /** The same of one that is now a dead letter. */
  dead(arrival: Arrival): Promise<void>
  /** The store keeps nothing of this sender any more. */
  forgetSender(sender: string): void
  close(): Promise<void>
}
