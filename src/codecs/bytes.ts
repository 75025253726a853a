/** Bytes put together, taken apart and compared. */

const encoder = new TextEncoder()

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Texts and bytes as one, each behind its length (u32): no two lists give the same. */
export function fields(...parts: readonly (string | Uint8Array)[]): Uint8Array {
  return concat(
    ...parts.flatMap((part) => {
      const bytes = typeof part === 'string' ? encoder.encode(part) : part
      const length = new Uint8Array(4)
      new DataView(length.buffer).setUint32(0, bytes.length, true)
      return [length, bytes]
    }),
  )
}

/** For what is no secret. */
export function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index])
}

const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

export function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3)
    const group = (a << 16) | (b << 8) | c
    const left = bytes.length - at
    for (let digit = 0; digit < 4; digit++) {
      text += digit > left ? '=' : DIGITS.charAt((group >> (18 - 6 * digit)) & 63)
    }
  }
  return text
}

/** Undefined for what is no base64, with or without padding. */
export function fromBase64(text: string): Uint8Array | undefined {
  const bare = text.replace(/=+$/, '')
  const bytes: number[] = []
  let group = 0
  let bits = 0
  for (const character of bare) {
    const digit = DIGITS.indexOf(character)
    if (digit < 0) return undefined
    group = ((group << 6) | digit) & 0xffff
    bits += 6
    if (bits < 8) continue
    bits -= 8
    bytes.push((group >> bits) & 0xff)
  }
  return new Uint8Array(bytes)
}
