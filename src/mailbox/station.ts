import type { Clock } from '../core/clock.ts'
import type { DeathCause } from './deathCause.ts'
import type { Journal } from './journal.ts'
import type { Arrival } from './message.ts'
import type { MailboxLog } from './options.ts'
import type { Body, Inbox } from './store.ts'

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
  ): Promise<unknown>
}

/** What the active receiver of a mailbox holds, and nobody else. */
export interface Station {
  readonly journal: Journal
  readonly inbox: Inbox
  readonly deadLetters: DeadLetterSink
  /** Aborted when another has become the receiver, since this process was taken for dead. */
  readonly lost?: AbortSignal
  /** Closes all of it, the lock last. */
  close(): Promise<void>
}

export interface ReceiverParts {
  readonly group: string
  readonly clock: Clock
  readonly nowMs: () => number
  readonly log: MailboxLog | undefined
  /** Settles when this is the active receiver; stands by until then, or until the signal is aborted. */
  readonly takeOver: (signal: AbortSignal) => Promise<Station>
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
  /** From when a message was sent, or was due, to its first start. */
  readonly latencyMs: { readonly p50: number; readonly p95: number; readonly p99: number }
}
