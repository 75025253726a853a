import { ViaductError } from '../wire/errors.ts'
import type { Arrival } from './message.ts'
import type { Body } from './store.ts'

/** Why a message is a dead letter. */
export interface DeathCause {
  /** `HANDLER_ERROR`, `EXPIRED`, `MALFORMED` … */
  readonly reason: string
  readonly message: string
  readonly stack?: string
}

/** Where dead letters go. */
export interface DeadLetterSink {
  /**
   * Settles when it is on stable storage.
   * @param content its body, or the bytes as they are of one that has a fault; absent when they cannot be read
   * @param attempts starts
   */
  add(
    arrival: Arrival,
    content: Body | Uint8Array | undefined,
    cause: DeathCause,
    attempts: number,
  ): Promise<void>
}

export interface ReceiverStats {
  /** May be started now. */
  readonly ready: number
  /** Started and not over. */
  readonly leased: number
  /** Wait for their time, or for their next attempt. */
  readonly delayed: number
  /** Since this receiver began, as the next three. */
  readonly done: number
  readonly dead: number
  readonly retried: number
  /** Messages that were not started since their id was known, or under way. */
  readonly duplicates: number
  /** Held in memory, about. */
  readonly bytes: number
  /** From when a message was sent, or was due, to its start. */
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number }
}

export class Receiver {
  /** Whether it is the one that the mailbox's messages go to. Others stand by. */
  readonly active: boolean = false
  /** Resolves when it is active; rejects when it is stopped before. */
  readonly ready: Promise<void> = Promise.resolve()

  stats(): ReceiverStats {
    throw new ViaductError('UNIMPLEMENTED', 'not yet')
  }

  /** Starts nothing more; settles when those that run have ended, or the grace is over. */
  async stop(): Promise<void> {}
}
