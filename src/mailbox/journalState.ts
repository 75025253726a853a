import { DONE, EndedIds } from './endedIds.ts'
import {
  type JournalEvent,
  type JournalSequences,
  MAX_RECORD_ITEMS,
  writeEvents,
  writeSequences,
} from './journalRecord.ts'
import type { Arrival } from './message.ts'
import { SequenceRanges } from './sequenceRanges.ts'
import type { Start } from './startPages.ts'
import { Turnover } from './turnover.ts'

/** What is known of a message that a store has found. */
export type Known = 'open' | 'done' | 'dead'

/** By what the journal knows a message. */
export type Entry = Pick<Arrival, 'id' | 'sender' | 'sequence' | 'redriven'>

/** A message that was started and is not over. */
export interface Started {
  /** Starts so far, and how many of them a record says to have failed. */
  attempts: number
  failed: number
  /** Where its last start stands, until a record says that it failed. */
  page: number | undefined
}

interface Sender {
  /** Done or dead. */
  readonly over: SequenceRanges
  readonly dead: SequenceRanges
}

/** What the records of a journal come to. */
export class JournalState {
  readonly started = new Turnover<string, Started>()
  readonly #senders = new Map<string, Sender>()
  readonly #ended: EndedIds
  readonly #leave: (page: number) => void

  /** @param leave called with the page of a start that is over. */
  constructor(dedupe: number, leave: (page: number) => void) {
    this.#ended = new EndedIds(dedupe)
    this.#leave = leave
  }

  known({ id, sender, sequence, redriven }: Entry): Known {
    const end = this.#ended.get(id)
    if (end === DONE) return 'done'
    if (end !== undefined) return end >= redriven ? 'dead' : 'open'
    const known = sequence > 0 ? this.#senders.get(sender) : undefined
    if (!known?.over.has(sequence)) return 'open'
    return known.dead.has(sequence) ? 'dead' : 'done'
  }

  /** Whether its own end is known for good; by its id it is known within a window only. */
  isRecorded({ sender, sequence }: Entry): boolean {
    return sequence === 0 || (this.#senders.get(sender)?.over.has(sequence) ?? false)
  }

  /** Of a message that is open. */
  life(id: string): number {
    return this.#ended.hasDead ? (this.#ended.get(id) ?? DONE) + 1 : 0
  }

  /** Whether a start that was found in a page is over. */
  isOver({ id, life, attempt }: Start): boolean {
    const end = this.#ended.get(id)
    return end === DONE || (end ?? DONE) >= life || (this.started.get(id)?.failed ?? 0) >= attempt
  }

  /** @returns whether a generation of ids was forgotten for it */
  apply(event: JournalEvent): boolean {
    const { what, id, sender, sequence, count } = event
    if (what === 'forgotten') {
      this.#senders.delete(sender)
      return false
    }
    if (what === 'failed') {
      this.#failed(id, count)
      return false
    }
    if (sequence > 0) {
      const known = this.#sender(sender)
      known.over.add(sequence)
      if (what === 'dead') known.dead.add(sequence)
    }
    const page = this.started.get(id)?.page
    if (page !== undefined) this.#leave(page)
    this.started.delete(id)
    // One of the same id may have been redriven more often.
    return this.#ended.set(id, what === 'done' ? DONE : Math.max(count, this.#ended.get(id) ?? 0))
  }

  #failed(id: string, count: number): void {
    const started = this.started.get(id)
    if (!started) {
      this.started.set(id, { attempts: count, failed: count, page: undefined })
      return
    }
    started.failed = count
    if (started.attempts > count) return
    started.attempts = count
    if (started.page !== undefined) this.#leave(started.page)
    started.page = undefined
  }

  addSequences({ sender, which, ranges }: JournalSequences): void {
    const into = this.#sender(sender)[which]
    for (let at = 0; at < ranges.length; at += 2) into.add(ranges[at] ?? 0, ranges[at + 1] ?? 0)
  }

  #sender(name: string): Sender {
    let sender = this.#senders.get(name)
    if (!sender) {
      sender = { over: new SequenceRanges(), dead: new SequenceRanges() }
      this.#senders.set(name, sender)
    }
    return sender
  }

  /** Records that come to all of this again, but for the ids of what ended. */
  snapshot(): Uint8Array[] {
    const payloads: Uint8Array[] = []
    for (const [sender, ranges] of this.#senders) {
      for (const which of ['over', 'dead'] as const) {
        for (const some of chunks(ranges[which].bounds, MAX_RECORD_ITEMS * 2))
          payloads.push(writeSequences({ sender, which, ranges: some }))
      }
    }
    const failed = this.started
      .entries()
      .flatMap(([id, { failed }]) => (failed > 0 ? [eventOf('failed', id, failed)] : []))
    for (const some of chunks(failed, MAX_RECORD_ITEMS)) payloads.push(writeEvents(some))
    return payloads
  }

  /** The same of the ids; stands before {@link snapshot}. */
  endedSnapshot(): Uint8Array[] {
    const ended = [...this.#ended].map(([id, end]) =>
      end === DONE ? eventOf('done', id, 0) : eventOf('dead', id, end),
    )
    return chunks(ended, MAX_RECORD_ITEMS).map(writeEvents)
  }
}

function eventOf(what: JournalEvent['what'], id: string, count: number): JournalEvent {
  return { what, id, sender: '', sequence: 0, count }
}

function chunks<T>(all: readonly T[], size: number): T[][] {
  const some: T[][] = []
  for (let at = 0; at < all.length; at += size) some.push(all.slice(at, at + size))
  return some
}
