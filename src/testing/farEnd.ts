import type { Transport } from '../core/transport.ts'
import { readU32, writeHeader } from '../wire/frame.ts'
import { isLegal } from '../wire/framer.ts'
import * as AT from '../wire/headerAt.ts'
import { HEADER_BYTES } from '../wire/limits.ts'
import { defaultPeer, type MakeSuitePeer } from './suitePeer.ts'
import { suiteService } from './suiteService.ts'

/** A kind that every link skips: these frames are for the suite alone. */
const SUITE_KIND = 0x7d

/** What one end has seen so far. */
export interface Seen {
  readonly frames: number
  readonly drains: number
  /** Reasons of the close events, in order. More than one is a fault. */
  readonly closes: readonly string[]
  /** The first frame that was cut, out of order or damaged. */
  readonly fault: string | undefined
}

/**
 * The end of a transport that the suite does not hold itself: in this process, in a worker or in another
 * process. Everything is asked and answered in plain data, so that it can be asked from afar.
 */
export interface FarEnd {
  /** Connects the events of the raw transport. */
  attach(): Promise<void>
  /** Sends `count` frames numbered from `first`, each with so many bytes of payload; waits while it is full. */
  send(first: number, count: number, payloadBytes: number): Promise<void>
  seen(): Promise<Seen>
  close(reason: string): Promise<void>
  /** Makes this end a peer that serves the suite's methods, instead of {@link attach}. */
  serve(): Promise<void>
  /** Ends as a process does that is killed: without a goodbye. */
  kill(): Promise<void>
}

/** A frame that carries its number, and bytes that follow from it. */
export function numberedFrame(number: number, payloadBytes: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + payloadBytes)
  writeHeader(bytes, 0, bytes.length, SUITE_KIND, 0, 0, number, 0, 0, 0, payloadBytes, 0, 0)
  for (let at = HEADER_BYTES; at < bytes.length; at++) bytes[at] = (number + at) & 0xff
  return bytes
}

/** Watches what a transport hands over. */
export class Witness {
  frames = 0
  drains = 0
  closes: string[] = []
  fault: string | undefined
  #wake: (() => void)[] = []

  /** Attaches to a transport. */
  attach(transport: Transport): void {
    transport.attach({
      frame: (bytes) => this.#look(bytes),
      drain: () => {
        this.drains++
        this.#changed()
      },
      close: (reason) => {
        this.closes.push(reason)
        this.#changed()
      },
    })
  }

  get seen(): Seen {
    const { frames, drains, closes, fault } = this
    return { frames, drains, closes: [...closes], fault }
  }

  /** Settles when the condition holds; it is looked at after each event. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#wake.push(resolve))
  }

  /** Sends frames in order, and waits for `drain` after each `false`. */
  async send(transport: Transport, first: number, count: number, payloadBytes: number): Promise<void> {
    for (let number = first; number < first + count; number++) {
      const { drains } = this
      if (transport.send(numberedFrame(number, payloadBytes))) continue
      await this.until(() => this.drains > drains || this.closes.length > 0)
      if (this.closes.length > 0) return
    }
  }

  #look(bytes: Uint8Array): void {
    if (this.closes.length > 0) this.fault ??= 'frames came after the close'
    let at = 0
    while (at < bytes.length) {
      const length = bytes.length - at >= HEADER_BYTES ? readU32(bytes, at) : 0
      if (!isLegal(length) || at + length > bytes.length) {
        this.fault ??= `after frame ${this.frames}: a frame was cut`
        break
      }
      const number = readU32(bytes, at + AT.id)
      if (number !== this.frames) this.fault ??= `frame ${number} came when ${this.frames} was due`
      for (let offset = HEADER_BYTES; offset < length; offset++) {
        if (bytes[at + offset] !== ((number + offset) & 0xff)) this.fault ??= `frame ${number} is damaged`
      }
      this.frames++
      at += length
    }
    this.#changed()
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

/**
 * An end in this process.
 *
 * @param kill ends it without a goodbye: destroys the socket, terminates the worker, cuts the wire.
 * @param peerOver makes the peer that serves; default: Viaduct's own.
 */
export function farEnd(
  transport: Transport,
  kill: () => unknown,
  peerOver: MakeSuitePeer = defaultPeer,
): FarEnd {
  const witness = new Witness()
  return {
    attach: async () => witness.attach(transport),
    send: (first, count, payloadBytes) => witness.send(transport, first, count, payloadBytes),
    seen: async () => witness.seen,
    close: async (reason) => transport.close(reason),
    serve: async () => suiteService(peerOver(transport)),
    kill: async () => {
      await kill()
    },
  }
}

/** A way to send plain data to another thread or process and to hear from it. */
export interface Channel {
  post(message: unknown): void
  listen(listener: (message: unknown) => void): void
}

const NAMES = ['attach', 'send', 'seen', 'close', 'serve'] as const

/**
 * Runs in the other thread or process: carries out what {@link remoteEnd} asks.
 *
 * @param peerOver makes the peer that serves; default: Viaduct's own.
 */
export function runFarEnd(transport: Transport, channel: Channel, peerOver?: MakeSuitePeer): void {
  const end = farEnd(transport, () => {}, peerOver)
  channel.listen((message) => {
    if (!isRecord(message) || typeof message.ask !== 'number') return
    const { ask, name, given } = message
    const known = NAMES.find((one) => one === name)
    if (!known || !Array.isArray(given)) return
    const answered: Promise<unknown> = Reflect.apply(end[known], end, given)
    answered.then((value) => channel.post({ answer: ask, value }))
  })
}

/**
 * An end in another thread or process, where {@link runFarEnd} runs.
 *
 * @param kill ends that thread or process.
 */
export function remoteEnd(channel: Channel, kill: () => unknown): FarEnd {
  const open = new Map<number, (value: unknown) => void>()
  let count = 0
  channel.listen((message) => {
    if (!isRecord(message) || typeof message.answer !== 'number') return
    open.get(message.answer)?.(message.value)
    open.delete(message.answer)
  })
  const ask = (name: (typeof NAMES)[number], ...given: unknown[]): Promise<unknown> =>
    new Promise((resolve) => {
      open.set(++count, resolve)
      channel.post({ ask: count, name, given })
    })
  return {
    attach: () => ask('attach').then(nothing),
    send: (first, frames, payloadBytes) => ask('send', first, frames, payloadBytes).then(nothing),
    seen: async () => seenFrom(await ask('seen')),
    close: (reason) => ask('close', reason).then(nothing),
    serve: () => ask('serve').then(nothing),
    kill: async () => {
      await kill()
    },
  }
}

function nothing(): void {}

function seenFrom(value: unknown): Seen {
  if (!isRecord(value)) throw new TypeError('the far end answers with something else')
  const { frames, drains, closes, fault } = value
  return {
    frames: Number(frames),
    drains: Number(drains),
    closes: Array.isArray(closes) ? closes.map(String) : [],
    fault: typeof fault === 'string' ? fault : undefined,
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
