import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { EFFECT, EVENT, effectOf, nextState, Slots, STATE, slotOf, step } from '../../src/core/exchange.ts'

const page = readFileSync(new URL('../../PROTOCOL.md', import.meta.url), 'utf8')

/** The exchange table of PROTOCOL.md: by state, the cells in order. */
function printedTable(): Map<string, string[]> {
  const lines = page.split('\n')
  const head = lines.findIndex((line) => line.startsWith('| state | CALL↑'))
  const rows = new Map<string, string[]>()
  for (const line of lines.slice(head + 2)) {
    if (!line.startsWith('|')) break
    const [state = '', ...cells] = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
    rows.set(state.replaceAll('*', ''), cells)
  }
  return rows
}

test('the table in the code is the table of PROTOCOL.md, cell by cell', () => {
  const table = printedTable()
  expect([...table.keys()]).toEqual(Object.keys(STATE))
  const events = Object.values(EVENT)
  const states: Record<string, number> = STATE
  const effects: Record<string, number> = EFFECT
  for (const [state, cells] of table) {
    expect(cells).toHaveLength(events.length)
    cells.forEach((cell, event) => {
      const result = step(states[state] ?? -1, event)
      const [next = '', effect = 'none'] = cell.replaceAll('*', '').split(' · ')
      const expected = next === 'violation' ? ['violation', state] : [effect, next]
      expect([state, event, effectOf(result), nextState(result)]).toEqual([
        state,
        event,
        effects[expected[0] ?? ''],
        states[expected[1] ?? ''],
      ])
    })
  }
})

test('slots: generations differ, id 0 is never given, and there are no more than allowed', () => {
  const slots = new Slots(2)
  const seen = new Set<number>()
  for (let round = 0; round < 1023; round++) {
    const id = slots.take()
    expect(slotOf(id)).toBe(0)
    expect(seen.has(id) || id === 0 || id >= 2 ** 30).toBe(false)
    seen.add(id)
    slots.free(id)
  }
  expect(seen.has(slots.take())).toBe(true)
  expect(slots.take()).toBe(1)
  expect(slots.take()).toBe(-1)
  expect(slots.open).toBe(2)
})
