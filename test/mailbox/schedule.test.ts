import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PRIORITIES, type Priority } from '../../src/mailbox/priority.ts'
import { Schedule } from '../../src/mailbox/schedule.ts'

interface Item {
  readonly name: number
  readonly priority: Priority
}

/** The same, said as plainly as can be: a list that is sorted each time. */
class Model {
  #items: { item: Item; readyMs: number; dueMs: number; order: number }[] = []
  #suspects: Item[] = []
  #alone: Item | undefined
  #count = 0

  add(item: Item, dueMs: number, nowMs: number): void {
    this.#items.push({ item, dueMs, readyMs: Math.max(dueMs, nowMs), order: this.#count++ })
  }

  addSuspect(item: Item): void {
    this.#suspects.push(item)
  }

  next(nowMs: number, underWay: number): Item | undefined {
    if (this.#alone) return undefined
    if (this.#suspects.length > 0) {
      if (underWay === 0) this.#alone = this.#suspects.shift()
      return underWay === 0 ? this.#alone : undefined
    }
    const ready = this.#items
      .filter(({ dueMs }) => dueMs <= nowMs)
      .sort(
        (one, other) =>
          PRIORITIES.indexOf(one.item.priority) - PRIORITIES.indexOf(other.item.priority) ||
          one.readyMs - other.readyMs ||
          one.order - other.order,
      )
    const first = ready[0]
    this.#items = this.#items.filter((one) => one !== first)
    return first?.item
  }

  acquit(item: Item): void {
    if (this.#alone === item) this.#alone = undefined
  }
}

const priority = fc.constantFrom(...PRIORITIES)
const adding = fc.record({
  do: fc.constant('add' as const),
  priority,
  delayMs: fc.constantFrom(0, 0, 1, 3, 10, 50),
})
const step = fc.oneof(
  { weight: 8, arbitrary: adding },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('suspect' as const), priority }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 20 }) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('next' as const) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('end' as const) }) },
)

describe('the schedule', () => {
  it('starts what a plain model starts', () => {
    let started = 0
    let alone = 0
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80 }), (steps) => {
        const schedule = new Schedule<Item>()
        const model = new Model()
        const running: Item[] = []
        let nowMs = 1000
        let name = 0
        for (const one of steps) {
          if (one.do === 'pass') nowMs += one.ms
          else if (one.do === 'add') {
            // One at a time is due: what becomes ready in one millisecond has the order of its adding.
            nowMs += 1
            const item = { name: name++, priority: one.priority }
            schedule.add(item, nowMs + one.delayMs - 0.5 * Math.sign(one.delayMs), nowMs)
            model.add(item, nowMs + one.delayMs - 0.5 * Math.sign(one.delayMs), nowMs)
          } else if (one.do === 'suspect') {
            const item = { name: name++, priority: one.priority }
            schedule.addSuspect(item)
            model.addSuspect(item)
          } else if (one.do === 'end') {
            const item = running.shift()
            if (!item) continue
            schedule.acquit(item)
            model.acquit(item)
          } else {
            const expected = model.next(nowMs, running.length)
            const item = schedule.next(nowMs, running.length)
            expect(item?.name).toBe(expected?.name)
            if (!item) continue
            started++
            if (schedule.isHeldUp && running.length === 0) alone++
            running.push(item)
          }
        }
      }),
      { numRuns: 2_000 },
    )
    expect(started).toBeGreaterThan(5_000)
    expect(alone).toBeGreaterThan(500)
  })

  it('tells when the next is due, and counts', () => {
    const schedule = new Schedule<Item>()
    expect(schedule.dueMs).toBe(Number.POSITIVE_INFINITY)
    for (const dueMs of [90, 30, 60]) schedule.add({ name: dueMs, priority: 'normal' }, dueMs, 0)
    schedule.add({ name: 0, priority: 'low' }, 0, 0)
    expect([schedule.dueMs, schedule.delayed, schedule.ready]).toEqual([30, 3, 1])
    const names = [59, 60, 60, 60, 60].map((nowMs) => schedule.next(nowMs, 0)?.name)
    expect(names).toEqual([30, 60, 0, undefined, undefined])
    expect([schedule.dueMs, schedule.delayed, schedule.ready]).toEqual([90, 1, 0])
  })

  it('lets all go on when a suspect takes too long', () => {
    const schedule = new Schedule<Item>()
    schedule.addSuspect({ name: 1, priority: 'normal' })
    schedule.addSuspect({ name: 2, priority: 'normal' })
    schedule.add({ name: 3, priority: 'normal' }, 0, 0)
    expect(schedule.next(0, 5)).toBeUndefined()
    expect(schedule.next(0, 0)?.name).toBe(1)
    expect(schedule.next(0, 1)).toBeUndefined()
    schedule.acquitAll()
    expect([0, 0, 0].map(() => schedule.next(0, 1)?.name)).toEqual([3, 2, undefined])
  })
})
