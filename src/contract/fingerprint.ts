/**
 * Fingerprints (PROTOCOL.md, section 10): FNV-1a 64 over canonical JSON of a method's shape. They tell
 * whether two sides mean the same method; they prove nothing.
 */

import { isObject } from '../wire/guards.ts'

/** A JSON tree as `JSON.parse` gives it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** What a fingerprint is made of. Schemas are JSON Schema, or null where the library gives none. */
export interface MethodShape {
  /** Full name, as `pages.analyze`. */
  readonly name: string
  readonly kind: 'call' | 'stream' | 'topic'
  readonly upload: boolean
  readonly errors: readonly string[]
  readonly version: number | null
  /** `compress`, `sealed`, `signed`; absent without any. */
  readonly codecs?: readonly string[]
  /** `at-least-once`; absent for calls that are answered. */
  readonly delivery?: string
  /** A topic's data stands under `input`. */
  readonly schemas: {
    readonly input: Json
    readonly output: Json
    readonly item: Json
    readonly upload: Json
    /** Absent unless it is declared. */
    readonly progress?: Json
  }
}

/** 16 hexadecimal digits. */
export function fingerprint(shape: MethodShape): string {
  const { name, kind, upload, version, schemas, codecs, delivery } = shape
  const errors = [...shape.errors].sort()
  const own = {
    ...(codecs && codecs.length > 0 ? { codecs: [...codecs].sort() } : {}),
    ...(delivery === undefined ? {} : { delivery }),
  }
  return fnv1a64(canonicalJson({ name, kind, upload, errors, version, ...own, schemas: { ...schemas } }))
}

/**
 * JSON without white space, the members of each object sorted by their names' UTF-16 code units, arrays
 * in their order; numbers and strings as `JSON.stringify` writes them.
 */
export function canonicalJson(value: Json): string {
  if (!isObject(value)) return JSON.stringify(value)
  if (isArray(value)) return `[${value.map(canonicalJson).join()}]`
  const members = Object.keys(value).sort()
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`).join()}}`
}

/** FNV-1a 64 over bytes, or a text's UTF-8, as 16 hexadecimal digits. */
export function fnv1a64(input: string | Uint8Array): string {
  const bytes = typeof input === 'string' ? new TextEncoder().encode(input) : input
  // The offset basis 0xcbf29ce484222325 in halves; the prime is 2^40 + 0x1b3.
  let high = 0xcbf29ce4
  let low = 0x84222325
  for (const byte of bytes) {
    low = (low ^ byte) >>> 0
    const product = low * 0x1b3
    high = (Math.imul(high, 0x1b3) + Math.floor(product / 0x1_0000_0000) + (low << 8)) >>> 0
    low = product >>> 0
  }
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0')
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
