import fc from 'fast-check'
import { expect, it } from 'vitest'
import { EventQueue } from '../../src/hub/eventQueue.ts'
import type { Publication } from '../../src/hub/publication.ts'
import { KeptEvents } from '../../src/hub/replayLog.ts'
import { NOTHING_KEPT } from '../../src/hub/replayRules.ts'
import type { Topic } from '../../src/hub/topicIndex.ts'

const topic: Topic = {
  name: 't',
  sequence: 0,
  direct: new Set(),
  kept: new KeptEvents(NOTHING_KEPT, 0),
  since: 0,
  audience: undefined,
  entry: undefined,
}

function event(number: number, key: string | undefined): Publication {
  const nothing = new Uint8Array(0)
  return {
    topic,
    payload: nothing,
    segments: 0,
    source: nothing,
    number,
    sequence: number,
    key,
    bytes: 7,
    at: 0,
  }
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('push'), key: fc.constantFrom(undefined, 'a', 'b', 'c') }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('shift'), key: fc.constant(undefined) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('take'), key: fc.constantFrom('a', 'b', 'c') }) },
)

it('a queue is a list of events, of which each key has one: against a plain array', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const queue = new EventQueue()
      let list: Publication[] = []
      let number = 0
      for (const { do: what, key } of steps) {
        if (what === 'push') {
          // As deliveries do: the event of a key is taken before the next is pushed.
          if (key !== undefined) {
            queue.takeKey(key)
            list = list.filter((old) => old.key !== key)
          }
          const pushed = event(++number, key)
          queue.push(pushed, true)
          list.push(pushed)
        } else if (what === 'shift') expect(queue.shift()).toBe(list.shift())
        else if (key !== undefined) {
          expect(queue.takeKey(key)).toBe(list.find((old) => old.key === key))
          list = list.filter((old) => old.key !== key)
        }
        expect([queue.first, queue.length, queue.bytes]).toEqual([list[0], list.length, list.length * 7])
      }
      expect(queue.clear()).toEqual(list)
      expect([queue.length, queue.bytes, queue.first]).toEqual([0, 0, undefined])
    }),
    { numRuns: 500 },
  )
})

it('a key that is replaced for ever behind one that stays takes no room', () => {
  const queue = new EventQueue()
  queue.push(event(1, 'stays'), true)
  for (let number = 2; number < 200_000; number++) {
    queue.takeKey('changes')
    queue.push(event(number, 'changes'), true)
  }
  expect(queue.length).toBe(2)
  expect(queue.clear().map(({ number }) => number)).toEqual([1, 199_999])
})
