import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Outgoing } from '../../src/mailbox/message.ts'
import { decodeMessage, encodeMessage } from '../../src/mailbox/messageRecord.ts'

const name = fc.stringMatching(/^[A-Za-z0-9._-]{1,128}$/)
const time = fc.integer({ min: 0, max: 8_640_000_000_000_000 })
const message: fc.Arbitrary<Outgoing> = fc.record({
  id: fc.oneof(fc.uuid(), name),
  type: fc.string({ unit: 'binary', maxLength: 64 }),
  sentAtMs: time,
  requiresAck: fc.boolean(),
  priority: fc.constantFrom('high', 'normal', 'low'),
  notBeforeMs: time,
  expiresAtMs: time,
  redriven: fc.integer({ min: 0, max: 0xffffffff }),
  format: fc.constantFrom('json', 'body'),
  body: fc.uint8Array({ maxLength: 600 }),
})
const sequence = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })

describe('a message as a record', () => {
  it('comes back as it went', () => {
    fc.assert(
      fc.property(message, sequence, fc.oneof(fc.constant(''), name), (sent, number, sender) => {
        const decoded = decodeMessage(encodeMessage(sent, number, sender))
        if (typeof decoded === 'string') throw new Error(decoded)
        const { bodyStart, body, ...fields } = { bodyStart: 0, ...decoded }
        expect(Uint8Array.from(body)).toEqual(Uint8Array.from(sent.body))
        expect({ ...fields, body: sent.body }).toEqual({ ...sent, sequence: number, sender })
        expect(bodyStart).toBeGreaterThan(0)
      }),
      { numRuns: 2_000 },
    )
  })

  it('is a view of the bytes, not a copy of them', () => {
    const sent = fc.sample(message, 1)[0]
    if (!sent) throw new Error('no sample')
    const record = encodeMessage({ ...sent, body: Uint8Array.of(1, 2, 3) }, 1)
    const decoded = decodeMessage(record)
    record[record.length - 1] = 9
    expect(typeof decoded === 'string' ? [] : [...decoded.body]).toEqual([1, 2, 9])
  })

  it('throws at no bytes, whether cut, changed or made up', () => {
    let refused = 0
    const check = (bytes: Buffer): void => {
      const decoded = decodeMessage(bytes)
      if (typeof decoded === 'string') {
        refused++
        return
      }
      expect(decoded.id).toMatch(/^[A-Za-z0-9._-]{1,128}$/)
      expect(decoded.type.length).toBeLessThanOrEqual(128)
      expect(decoded.sequence).toBeGreaterThanOrEqual(1)
    }
    fc.assert(
      fc.property(message, fc.nat(), fc.nat(), fc.integer({ min: 0, max: 255 }), (sent, cut, at, byte) => {
        const record = encodeMessage(sent, 1)
        check(record.subarray(0, cut % record.length))
        record[at % Math.min(60, record.length)] = byte
        check(record)
      }),
      { numRuns: 3_000 },
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => check(Buffer.from(bytes))))
    expect(refused).toBeGreaterThan(100)
  })

  it.each([
    ['an id that climbs', { id: '../../etc' }],
    ['no id', { id: '' }],
    ['a type that is too long', { type: 'x'.repeat(129) }],
    ['a time that is none', { sentAtMs: Number.NaN }],
    ['a time before all', { expiresAtMs: -1 }],
  ])('refuses %s', (_, change) => {
    const sent = fc.sample(message, 1)[0]
    if (!sent) throw new Error('no sample')
    expect(decodeMessage(encodeMessage({ ...sent, ...change }, 1))).toBeTypeOf('string')
    expect(decodeMessage(encodeMessage(sent, 0))).toBe('its sequence is none')
  })
})
