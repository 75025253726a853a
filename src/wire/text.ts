/**
 * Text to bytes and back, with the host's native Latin-1 routines where it has them (Node's Buffer) and
 * standard ones elsewhere. All functions are pure; lengths are code units or bytes as named.
 */

import { isObject } from './guards.ts'

type Latin1Slice = (this: Uint8Array, start: number, end: number) => string
type Latin1Write = (this: Uint8Array, text: string, at: number, length: number) => number

function native(name: string): unknown {
  const buffer: unknown = Reflect.get(globalThis, 'Buffer')
  if (typeof buffer !== 'function') return undefined
  const prototype: unknown = buffer.prototype
  if (!isObject(prototype)) return undefined
  return Reflect.get(prototype, name)
}

function isSlice(value: unknown): value is Latin1Slice {
  return typeof value === 'function'
}

function isWrite(value: unknown): value is Latin1Write {
  return typeof value === 'function'
}

const sliceMethod = native('latin1Slice')
const writeMethod = native('latin1Write')
const nativeSlice: Latin1Slice | undefined = isSlice(sliceMethod) ? sliceMethod : undefined
const nativeWrite: Latin1Write | undefined = isWrite(writeMethod) ? writeMethod : undefined

const encoder = new TextEncoder()
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** Engines know that a string kept as bytes cannot match, so for most strings this costs nothing. */
const WIDE = /[^\0-\xff]/
const CHUNK_UNITS = 4096

/** Whether each code unit fits in a byte. */
export function isLatin1(text: string): boolean {
  return !WIDE.test(text)
}

/** Writes the units of a Latin-1 string. The caller has checked the text and the room. */
export function writeLatin1(target: Uint8Array, at: number, text: string): void {
  if (nativeWrite !== undefined) {
    nativeWrite.call(target, text, at, text.length)
    return
  }
  for (let index = 0; index < text.length; index += 1) target[at + index] = text.charCodeAt(index)
}

/** Reads bytes as code units. */
export function readLatin1(bytes: Uint8Array, start: number, end: number): string {
  if (nativeSlice !== undefined) return nativeSlice.call(bytes, start, end)
  let text = ''
  for (let from = start; from < end; from += CHUNK_UNITS) {
    text += String.fromCharCode(...bytes.subarray(from, Math.min(end, from + CHUNK_UNITS)))
  }
  return text
}

/** Bytes of the text in UTF-8, or -1 when it holds a lone surrogate and so has no UTF-8. */
export function utf8Bytes(text: string): number {
  let bytes = text.length
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    if (unit < 0x80) continue
    if (unit < 0x800) bytes += 1
    else if (unit < 0xd800 || unit > 0xdfff) bytes += 2
    else {
      index += 1
      // Past the end charCodeAt is NaN, which no comparison accepts.
      const low = text.charCodeAt(index)
      if (unit > 0xdbff || !(low >= 0xdc00 && low <= 0xdfff)) return -1
      bytes += 2
    }
  }
  return bytes
}

/** Writes text without lone surrogates as UTF-8. The caller has room for {@link utf8Bytes}. */
export function writeUtf8(target: Uint8Array, at: number, text: string): void {
  encoder.encodeInto(text, target.subarray(at))
}

/** Reads UTF-8, or undefined when the bytes are not UTF-8. */
export function readUtf8(bytes: Uint8Array, start: number, end: number): string | undefined {
  try {
    return utf8.decode(bytes.subarray(start, end))
  } catch {
    return undefined
  }
}

/** Writes code units of two bytes each. The caller has room. */
export function writeUtf16(target: Uint8Array, at: number, text: string): void {
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    target[at + 2 * index] = unit
    target[at + 2 * index + 1] = unit >>> 8
  }
}

/** Reads code units of two bytes each, lone surrogates included. `end - start` is even. */
export function readUtf16(bytes: Uint8Array, start: number, end: number): string {
  let text = ''
  for (let from = start; from < end; from += 2 * CHUNK_UNITS) {
    const units: number[] = []
    for (let at = from; at < Math.min(end, from + 2 * CHUNK_UNITS); at += 2) {
      units.push((bytes[at] as number) | ((bytes[at + 1] as number) << 8))
    }
    text += String.fromCharCode(...units)
  }
  return text
}
