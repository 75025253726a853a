/** Frames as objects: the notation of vectors/frames.json and vectors/talks.json. */
import { BodyEncoder } from '../../src/wire/body.ts'
import { type Dictionary, makeDictionary } from '../../src/wire/dictionary.ts'
import * as FLAG from '../../src/wire/flag.ts'
import { padded, readU16, readU32, writeHeader } from '../../src/wire/frame.ts'
import * as AT from '../../src/wire/headerAt.ts'
import * as KIND from '../../src/wire/kind.ts'
import { HEADER_BYTES } from '../../src/wire/limits.ts'
import { fromHex, segmentOf, valueFrom } from '../wire/notation.ts'

/** A frame as a test writes it; what is left out is 0 or empty. */
export interface FrameFields {
  readonly kind: number
  readonly lane?: number
  readonly flags?: number
  readonly method?: number
  readonly id?: number
  readonly route?: number
  readonly timeLeft?: number
  readonly window?: number
  readonly payload?: Uint8Array
  /** Of the whole message; default: what is here. */
  readonly payloadBytes?: number
  readonly headBytes?: number
  readonly segments?: number
}

export function makeFrame(fields: FrameFields): Uint8Array {
  const payload = fields.payload ?? new Uint8Array(0)
  const frame = new Uint8Array(HEADER_BYTES + padded(payload.length))
  writeHeader(
    frame,
    0,
    frame.length,
    fields.kind,
    (fields.flags ?? 0) | (fields.lane ?? 0),
    fields.method ?? 0,
    fields.id ?? 0,
    fields.route ?? 0,
    fields.timeLeft ?? 0,
    fields.window ?? 0,
    fields.payloadBytes ?? payload.length,
    fields.headBytes ?? 0,
    fields.segments ?? 0,
  )
  frame.set(payload, HEADER_BYTES)
  return frame
}

export interface ReadFrame extends Required<Omit<FrameFields, 'flags' | 'lane'>> {
  readonly bytes: number
  readonly flags: number
}

export function readFrame(bytes: Uint8Array, at = 0): ReadFrame {
  const length = readU32(bytes, at)
  const payloadBytes = readU32(bytes, at + AT.payloadBytes)
  return {
    bytes: length,
    kind: bytes[at + AT.kind] ?? 0,
    flags: bytes[at + AT.flags] ?? 0,
    method: readU16(bytes, at + AT.method),
    id: readU32(bytes, at + AT.id),
    route: readU32(bytes, at + AT.route),
    timeLeft: readU32(bytes, at + AT.timeLeft),
    window: readU32(bytes, at + AT.window),
    payloadBytes,
    headBytes: readU16(bytes, at + AT.headBytes),
    segments: readU16(bytes, at + AT.segments),
    payload: bytes.slice(at + HEADER_BYTES, at + Math.min(length, HEADER_BYTES + payloadBytes)),
  }
}

/** Cuts a run of whole frames. */
export function splitFrames(run: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = []
  for (let at = 0; at < run.length; at += readU32(run, at)) frames.push(run.slice(at, at + readU32(run, at)))
  return frames
}

export function joinBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

type Json = Record<string, unknown>

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

export function textOf(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`not a text: ${JSON.stringify(value)}`)
  return value
}

export function objectOf(value: unknown): Json {
  if (!isObject(value)) throw new TypeError(`not an object: ${JSON.stringify(value)}`)
  return value
}

const KINDS = new Map<string, number>(Object.entries(KIND))
const FLAGS = new Map<string, number>(Object.entries(FLAG))

function numberOf(value: unknown): number {
  if (value === undefined) return 0
  if (typeof value === 'number') return value
  return Number.parseInt(textOf(value), 16)
}

/** The shapes of a body: a list of key lists. */
export function dictionaryOf(shapes: unknown): Dictionary | undefined {
  if (shapes === undefined) return undefined
  return makeDictionary(listOf(shapes).map((keys) => listOf(keys).map(String)))
}

/** Head entries: tag, length, value, each padded to 8. */
function headOf(entries: unknown): Uint8Array {
  return joinBytes(
    ...listOf(entries).map((entry) => {
      const { tag, hex, text } = objectOf(entry)
      const value = text === undefined ? fromHex(textOf(hex)) : new TextEncoder().encode(textOf(text))
      const bytes = new Uint8Array(padded(4 + value.length))
      const view = new DataView(bytes.buffer)
      view.setUint16(0, numberOf(tag), true)
      view.setUint16(2, value.length, true)
      bytes.set(value, 4)
      return bytes
    }),
  )
}

function aligned(bytes: Uint8Array): Uint8Array {
  return joinBytes(bytes, new Uint8Array(padded(bytes.length) - bytes.length))
}

/** The whole payload that a description stands for, with the sizes of its head and segments. */
export function payloadOf(described: Json): { payload: Uint8Array; headBytes: number; segments: number } {
  if (described.payload !== undefined) {
    const { payload } = described
    const bytes = typeof payload === 'string' ? fromHex(payload) : segmentOf(payload)
    return {
      payload: bytes,
      headBytes: numberOf(described.headBytes),
      segments: numberOf(described.segments),
    }
  }
  const parts: Uint8Array[] = []
  const head = headOf(described.head)
  if (head.length > 0) parts.push(head)
  let segments = 0
  let body = new Uint8Array(0)
  if ('body' in described) {
    const encoder = new BodyEncoder()
    encoder.collects = true
    body = encoder.encode(valueFrom(described.body), dictionaryOf(described.shapes)).slice()
    segments = encoder.segments.length
    if (segments > 0) {
      const table = new Uint8Array(segments * 4)
      const view = new DataView(table.buffer)
      encoder.segments.forEach((segment, index) => {
        view.setUint32(index * 4, segment.length, true)
      })
      parts.push(aligned(table), ...encoder.segments.map(aligned))
    }
  }
  return { payload: joinBytes(...parts, body), headBytes: head.length, segments }
}

/** The frame that a description stands for. */
export function frameFrom(described: unknown): Uint8Array {
  const given = objectOf(described)
  if (typeof given.hex === 'string') return fromHex(given.hex)
  const kind = KINDS.get(String(given.kind)) ?? numberOf(given.kind)
  let flags = numberOf(given.lane)
  for (const name of listOf(given.flags)) flags |= FLAGS.get(String(name)) ?? 0
  const whole = payloadOf(given)
  const { from = 0, to = whole.payload.length } = isObject(given.part) ? given.part : {}
  return makeFrame({
    kind,
    flags,
    method: numberOf(given.method),
    id: numberOf(given.id),
    route: numberOf(given.route),
    timeLeft: numberOf(given.timeLeft),
    window: numberOf(given.window),
    payload: whole.payload.subarray(Number(from), Number(to)),
    payloadBytes:
      given.payloadBytes === undefined
        ? kind === KIND.FRAGMENT
          ? Number(to) - Number(from)
          : whole.payload.length
        : numberOf(given.payloadBytes),
    headBytes: kind === KIND.FRAGMENT ? 0 : whole.headBytes,
    segments: kind === KIND.FRAGMENT ? 0 : whole.segments,
  })
}

const KIND_NAMES = new Map<number, string>(Object.entries(KIND).map(([name, number]) => [number, name]))

/** A frame for people to read, for messages of failed tests. */
export function show(frame: Uint8Array): string {
  const read = readFrame(frame)
  const flags = [...FLAGS]
    .filter(([name, bit]) => name !== 'LANE' && (read.flags & bit) !== 0)
    .map(([name]) => name)
  const fields = (
    ['method', 'id', 'route', 'timeLeft', 'window', 'payloadBytes', 'headBytes', 'segments'] as const
  )
    .filter((name) => read[name] !== 0)
    .map((name) => `${name} ${read[name]}`)
  const name = KIND_NAMES.get(read.kind) ?? read.kind.toString(16)
  const payload = Buffer.from(read.payload.subarray(0, 200)).toString('hex')
  return `${name} lane ${read.flags & FLAG.LANE} ${[...flags, ...fields].join(' ')} [${read.bytes}] ${payload}`
}
