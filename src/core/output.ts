import type { Dictionary } from '../wire/dictionary.ts'
import { ViaductError } from '../wire/errors.ts'
import * as FLAG from '../wire/flag.ts'
import { creditOf, readU32, writeU32 } from '../wire/frame.ts'
import * as AT from '../wire/headerAt.ts'
import * as KIND from '../wire/kind.ts'
import { FRAGMENT_BYTES, HEADER_BYTES, ONE_WAY_QUEUE_BYTES } from '../wire/limits.ts'
import { linkError } from '../wire/linkError.ts'
import type { Link } from './link.ts'
import type { Entry } from './outbox.ts'
import type { ItemFlow } from './pump.ts'
import { type Cut, Sender } from './sender.ts'
import { Writer } from './writer.ts'

export interface OutputLimits {
  readonly messageBytes: number
  readonly sentBytes?: number
  readonly queueBytes: number
}

/** Everything that a peer writes: messages of exchanges, and what routes say. */
export class Output {
  readonly link: Link
  readonly writer: Writer
  readonly #limits: OutputLimits
  readonly #open: () => number
  #waiting: (() => void)[] = []

  /** @param open exchanges that are open now; one alone is written at once. */
  constructor(link: Link, limits: OutputLimits, open: () => number) {
    this.link = link
    this.writer = new Writer(link.outbox)
    this.#limits = limits
    this.#open = open
    link.outbox.onheld = (entry) => lowerTimeLeft(entry, link.clock.now())
  }

  /** Whether so much waits that nothing new may be begun. */
  get full(): boolean {
    const { queuedBytes, heldBytes } = this.link.outbox
    return queuedBytes > this.#limits.queueBytes / 2 || heldBytes > this.#limits.queueBytes
  }

  /** Whether so much waits that no one-way message is taken: nobody hears of those that are late. */
  get fullOneWay(): boolean {
    return this.link.outbox.queuedBytes > ONE_WAY_QUEUE_BYTES || this.full
  }

  /** Whether so much waits that even what the far end asks for has to be refused: it does not read what it has asked for. */
  get overfull(): boolean {
    const { queuedBytes, heldBytes } = this.link.outbox
    return queuedBytes + heldBytes > this.#limits.queueBytes
  }

  /** Whether a lone exchange should not wait for the end of the turn. */
  get eager(): boolean {
    return this.#open() <= 1
  }

  /** Calls back when what waits has gone. */
  whenRoom(resume: () => void): void {
    this.#waiting.push(resume)
  }

  /** What waited has gone, or the link has ended. */
  drained(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resume of waiting) resume()
  }

  /** Writes a link frame with a body, in the control lane. */
  control(kind: number, route: number, value: unknown): void {
    if (!this.writer.write(kind, 0, 0, 0, route, 0, 0, value, undefined, false)) return
    throw new ViaductError('RESOURCE_EXHAUSTED', 'a link frame is over its limit', {
      reason: 'MESSAGE_TOO_LARGE',
    })
  }

  /**
   * Writes an item, an end, an error, progress or what goes to and fro for a callback, behind what its sender still
   * has; the last two at once, and in one frame or not at all.
   *
   * @param code of an error, with the number of its reason: they stand in the header for those who read no bodies.
   * @param window of an END the lease of what is kept, of a BACK its number.
   * @throws ViaductError of what cannot be sent, or RESOURCE_EXHAUSTED / MESSAGE_TOO_LARGE
   */
  write(
    kind: number,
    flags: number,
    id: number,
    value: unknown,
    dictionary: Dictionary | undefined,
    sender: Sender | undefined,
    code = 0,
    reason = 0,
    window = 0,
  ): void {
    const isItem = kind === KIND.ITEM
    const credit = sender?.busy ? -1 : isItem && sender ? sender.credit - HEADER_BYTES : undefined
    const cut = this.writer.write(
      kind,
      flags,
      code,
      id,
      reason,
      0,
      window,
      value,
      dictionary,
      this.eager && !isItem,
      credit,
    )
    if (cut) {
      const isWhole = kind === KIND.PROGRESS || kind === KIND.BACK
      if (isWhole ? cut.payloadBytes > FRAGMENT_BYTES : this.isTooLarge(cut)) {
        throw linkError('MESSAGE_TOO_LARGE', kind === KIND.PROGRESS ? 'progress' : 'value', 'unknown')
      }
      // It stands where it comes, between fragments too.
      if (kind === KIND.BACK) {
        this.writer.whole(cut, id, this.eager)
        return
      }
      const large = sender ?? new Sender(this.link.outbox, flags & FLAG.LANE, id, 0)
      large.add(cut)
    } else if (sender && isItem) {
      sender.credit -= creditOf(this.writer.payloadBytes)
    }
  }

  /**
   * The way of an exchange's items, for a pump.
   *
   * @param refused the error of one that cannot be sent.
   */
  itemFlow(
    sender: Sender,
    id: number,
    flags: number,
    dictionary: Dictionary | undefined,
    refused: (error: unknown) => unknown,
  ): ItemFlow {
    return {
      send: (item) => {
        try {
          this.write(KIND.ITEM, flags, id, item, dictionary, sender)
        } catch (error) {
          throw refused(error)
        }
      },
      isHeld: () => sender.busy || sender.credit <= 0 || this.link.outbox.congested,
      whenFree: (resume) => {
        sender.onidle = resume
        if (!sender.busy && sender.credit > 0) this.whenRoom(resume)
      },
    }
  }

  /** Whether the far end would refuse a message; before it has said so, our own limit stands for its. */
  isTooLarge(cut: Cut): boolean {
    const { messageBytes, sentBytes = messageBytes } = this.#limits
    return cut.payloadBytes > Math.min(sentBytes, this.link.farMessageBytes || sentBytes)
  }
}

/** A CALL that had to wait leaves with what is left of its time. */
function lowerTimeLeft(entry: Entry, now: number): void {
  const { bytes } = entry
  const held = Math.floor(now - entry.heldSince)
  for (let at = 0; at + HEADER_BYTES <= bytes.length; at += Math.max(HEADER_BYTES, readU32(bytes, at))) {
    const left = readU32(bytes, at + AT.timeLeft)
    if (bytes[at + AT.kind] === KIND.CALL && left > 0) {
      writeU32(bytes, at + AT.timeLeft, Math.max(1, left - held))
    }
  }
}
