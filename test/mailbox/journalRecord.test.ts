import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  doneIds,
  type JournalEvent,
  readEvents,
  readSequences,
  writeEvents,
  writeSequences,
} from '../../src/mailbox/journalRecord.ts'

const name = fc
  .string({ minLength: 1, maxLength: 60, unit: 'grapheme' })
  .filter((text) => new TextEncoder().encode(text).length <= 240)
const event: fc.Arbitrary<JournalEvent> = fc.record({
  what: fc.constantFrom('done', 'failed', 'dead', 'forgotten'),
  id: fc.oneof(fc.uuid(), name, fc.constant('')),
  sender: fc.oneof(fc.constant(''), fc.constantFrom('a', 'b', 'c'), name),
  sequence: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  count: fc.nat({ max: 0xffffffff }),
})

describe('records of the journal', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 50 }), (events) => {
        const payload = writeEvents(events)
        expect([...readEvents(payload)]).toEqual(events)
        const done = events.filter(({ what }) => what === 'done').map(({ id }) => id)
        expect([...doneIds(payload)]).toEqual(done)
        expect(readSequences(payload)).toBeUndefined()
      }),
    )
    fc.assert(
      fc.property(
        name,
        fc.constantFrom('over', 'dead'),
        fc.array(fc.tuple(fc.nat(), fc.nat())),
        (...given) => {
          const [sender, which, pairs] = given
          const sequences = { sender, which, ranges: pairs.flat() }
          const payload = writeSequences(sequences)
          expect(readSequences(payload)).toEqual(sequences)
          expect([...readEvents(payload), ...doneIds(payload)]).toEqual([])
        },
      ),
    )
  })

  it('end reading quietly wherever they are cut, and whatever they hold', () => {
    const events: JournalEvent[] = ['one', 'two', 'three'].map((id, index) => {
      return { what: 'done', id, sender: 's'.repeat(index), sequence: index, count: 0 }
    })
    const whole = writeEvents(events)
    for (let length = 0; length < whole.length; length++) {
      const ids = [...doneIds(whole.subarray(0, length))]
      expect(ids.length).toBeLessThan(3)
      expect(ids).toEqual(['one', 'two', 'three'].slice(0, ids.length))
      expect([...readEvents(whole.subarray(0, length))].map(({ id }) => id)).toEqual(ids)
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.constantFrom(0, 1, 2), (bytes, kind) => {
        bytes[0] = kind
        expect([...doneIds(bytes), ...readEvents(bytes)].length).toBeLessThan(20)
        expect(readSequences(bytes)?.ranges.length ?? 0).toBeLessThan(20)
      }),
    )
  })
})
