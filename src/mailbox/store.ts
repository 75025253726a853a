/**
 * What a mailbox stands on. Two stores fulfil it: `folder`, one JSON file a message as S2 has them, and `log`, an
 * append-only log for each sender. Who sends, who receives, what is retried, what is dead: all that is above, once.
 */
import type { Arrival, BodyFormat, Outgoing } from './message.ts'

/** One sending instance's way into one mailbox. */
export interface Outbox {
  /** The name under which this instance's messages arrive. */
  readonly sender: string
  /**
   * Settles when the message is as durable as the mailbox was opened for; stores in the order of the calls.
   *
   * @throws ViaductError RESOURCE_EXHAUSTED / DISK_FULL · UNAVAILABLE / DISK_FAILED: it is not stored, or may be
   */
  store(message: Outgoing): Promise<unknown>
  /** Makes the receiver look for this message again; settles also when it is not there any more. */
  announce(id: string): Promise<void>
  /** Bytes and messages of the whole mailbox that nobody has settled, about; may be a second old. */
  usage(): Promise<Usage>
  /**
   * Tells of messages whose receiver said that they are done; ids that this instance did not send may be among them.
   * Needs no notification: it is looked at again every second.
   */
  onAcknowledged(tell: (id: string) => void): () => void
  /** Settles when all that was stored is as durable as asked. */
  close(): Promise<void>
}

export interface Usage {
  readonly messages: number
  readonly bytes: number
}

/** The side of the one receiver that a mailbox has at a time. */
export interface Inbox {
  /**
   * What is there and was not returned before, at most `max`, each sender's in its order; [] when there is nothing.
   * It looks by itself, at least every second, whether or not anything was notified. What was returned and not settled stays in the store.
   */
  next(max: number): Promise<readonly Arrival[]>
  /**
   * A message's payload. Kept for a while after `next`; read again from the store when it is not.
   *
   * @throws ViaductError with the reason for which it is to be a dead letter; NOT_FOUND when it was taken away
   */
  body(arrival: Arrival): Body | Promise<Body>
  /** For the dead letter of one with a fault: its bytes as they are, cut at 64 KiB. */
  raw(arrival: Arrival): Promise<Uint8Array>
  /** Lets go of the body in memory: it is not needed for some time. */
  release(arrival: Arrival): void
  /**
   * These are over, and the journal's record of it is durable: acknowledges where that was asked (`acknowledge`),
   * then removes them.
   */
  settled(arrivals: readonly Settled[]): Promise<void>
  /** Calls `hint` when something may have come; often, late, or for nothing. */
  watch(hint: () => void): () => void
  close(): Promise<void>
}

export interface Body {
  readonly format: BodyFormat
  readonly bytes: Uint8Array
}

export interface Settled {
  readonly arrival: Arrival
  /** Whether its sender may be told that it is done; not so for a dead letter. */
  readonly acknowledge: boolean
}
