/** PROTOCOL.md and the code's own tables say the same. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { EFFECT, EVENT, effectOf, nextState, STATE, step } from '../../src/core/exchange.ts'
import { CLOSE_REASONS } from '../../src/wire/closeReason.ts'
import { CODES } from '../../src/wire/errors.ts'
import * as FLAG from '../../src/wire/flag.ts'
import { FIRST_OPTIONAL_KIND } from '../../src/wire/frame.ts'
import * as AT from '../../src/wire/headerAt.ts'
import * as KIND from '../../src/wire/kind.ts'
import * as limits from '../../src/wire/limits.ts'
import { FATE, REASONS, reasonName } from '../../src/wire/reasons.ts'
import * as TAG from '../../src/wire/tag.ts'

const text = readFileSync(new URL('../../PROTOCOL.md', import.meta.url), 'utf8')
const plain = text.replace(/\s+/g, ' ')

/** The rows of the table whose header line begins so. */
function table(header: string): string[][] {
  const lines = text.split('\n')
  const at = lines.findIndex((line) => line.startsWith(header))
  expect(at, `a table beginning ${header}`).toBeGreaterThan(0)
  const rows: string[][] = []
  for (const line of lines.slice(at + 2)) {
    if (!line.startsWith('|')) break
    rows.push(
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
  }
  return rows
}

describe('PROTOCOL.md', () => {
  it('names only sizes and times that limits.ts has', () => {
    const named = new Set([...text.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(([, name]) => name ?? ''))
    const known = new Set([
      ...Object.keys(limits),
      ...Object.keys(REASONS),
      ...CLOSE_REASONS,
      'INVALID_ARGUMENT',
    ])
    known.add('MALFORMED_BODY')
    for (const name of named) expect(known, name).toContain(name)
    for (const name of ['MAX_FRAME_BYTES', 'FRAGMENT_BYTES', 'MIN_WINDOW_BYTES', 'GATHER_BYTES', 'MAX_DEPTH'])
      expect(named).toContain(name)
  })

  it('reads a reason by its number, and one of a newer peer as an absent target', () => {
    for (const [name, { number }] of Object.entries(REASONS)) expect(reasonName(number)).toBe(name)
    for (const number of [0, -1, 0.5, Object.keys(REASONS).length + 1, 2 ** 32 - 1]) {
      expect(reasonName(number)).toBe('TARGET_UNAVAILABLE')
    }
  })

  it('states numbers that limits.ts computes', () => {
    const { HEADER_BYTES, FRAGMENT_BYTES, MAX_FRAME_BYTES, MIN_WINDOW_BYTES, MAX_DEPTH, SEGMENT_BYTES } =
      limits
    expect(plain).toContain(`Every frame is a ${HEADER_BYTES}-byte header`)
    expect(MAX_FRAME_BYTES).toBe(HEADER_BYTES + FRAGMENT_BYTES)
    expect(MIN_WINDOW_BYTES).toBe(2 * MAX_FRAME_BYTES)
    expect(MAX_DEPTH).toBe(64)
    expect(SEGMENT_BYTES).toBe(4096)
    expect(FRAGMENT_BYTES % 8).toBe(0)
  })

  it('lays the header out as frame.ts does', () => {
    const drawing = /```\n[\s\S]*?├([^\n]*)┤\n([^\n]*)\n```/.exec(text)
    const names = (drawing?.[1] ?? '').split('┼').map((cell) => cell.replace(/[─\s]/g, ''))
    const widths = [...(drawing?.[2] ?? '').matchAll(/u(8|16|32)/g)].map(([, bits]) => Number(bits) / 8)
    expect(names.length).toBe(widths.length)
    const code = new Map(Object.entries(AT).map(([name, at]) => [name === 'segments' ? 'segs' : name, at]))
    let at = 0
    for (const [index, name] of names.entries()) {
      expect(code.get(name), name).toBe(at)
      at += widths[index] ?? 0
    }
    expect(at).toBe(limits.HEADER_BYTES)
    expect(names.length).toBe(code.size)
  })

  it('lists the flags of frame.ts', () => {
    const flags: Record<string, number> = {}
    for (const [bits = '', meaning = ''] of table('| bit | flag |')) {
      const name = (/^[A-Z_]+|^lane/.exec(meaning)?.[0] ?? '').replace('lane', 'LANE')
      const [from = 0, to = from] = bits.split('–').map(Number)
      for (let bit = from; bit <= to; bit++) flags[name] = (flags[name] ?? 0) | (1 << bit)
    }
    expect(flags).toEqual({ ...FLAG })
  })

  it('lists the kinds of frame.ts', () => {
    const kinds: Record<string, number> = {}
    for (const cells of table('| kind | name | kind |')) {
      for (let at = 0; at + 1 < cells.length; at += 2) {
        const numbers = (cells[at] ?? '').split('/').filter((cell) => cell.trim() !== '')
        const names = (cells[at + 1] ?? '').replace(/\(.*\)/, '').split('/')
        numbers.forEach((number, index) => {
          kinds[(names[index] ?? '').trim()] = Number(number.trim())
        })
      }
    }
    expect(kinds).toEqual({ ...KIND })
    expect(plain).toContain(`Unknown kinds below 0x${FIRST_OPTIONAL_KIND.toString(16)} close the link`)
  })

  it('has the exchange of exchange.ts, cell by cell', () => {
    const events: readonly (readonly number[])[] = [
      [EVENT.call],
      [EVENT.callUpload],
      [EVENT.itemUp],
      [EVENT.endUp],
      [EVENT.cancel],
      [EVENT.itemDown],
      [EVENT.endDown],
      [EVENT.credit],
      [EVENT.lost],
      [EVENT.endKept],
      [EVENT.back],
      [EVENT.release],
    ]
    const states = new Map<string, number>(Object.entries(STATE))
    const effects = new Map<string, number>(Object.entries(EFFECT))
    const rows = table('| state | CALL↑')
    expect(rows.length).toBe(states.size)
    for (const [name = '', ...cells] of rows) {
      const state = states.get(name.replaceAll('*', '')) ?? -1
      expect(cells.length).toBe(events.length)
      cells.forEach((cell, column) => {
        const [next = '', effect = 'none'] = cell.replaceAll('*', '').split(' · ')
        const result = step(state, events[column]?.[0] ?? -1)
        if (next === 'violation') expect(effectOf(result), `${name} ${column}`).toBe(EFFECT.violation)
        else {
          expect(effectOf(result), `${name} ${column}`).toBe(effects.get(effect))
          expect(nextState(result), `${name} ${column}`).toBe(states.get(next))
        }
      })
    }
  })

  it('lists the reasons of reasons.ts with their codes', () => {
    const reasons: Record<string, { number: number; code: string }> = {}
    for (const [number, name = '', code = ''] of table('| no | reason | code |'))
      reasons[name] = { number: Number(number), code }
    const known = Object.entries(REASONS).map(([name, { number, code }]) => [name, { number, code }])
    expect(reasons).toEqual(Object.fromEntries(known))
  })

  it('numbers codes, fates and reasons of closing as the code does', () => {
    expect(plain).toContain(`CANCELLED ${CODES.CANCELLED} … UNAUTHENTICATED ${CODES.UNAUTHENTICATED}`)
    expect(Object.values(CODES)).toEqual(Array.from({ length: 16 }, (_, index) => index + 1))
    expect(plain).toContain(`(${FATE['not-sent']} not-sent, ${FATE.unknown} unknown)`)
    const named = [...plain.matchAll(/\b(\d) ([A-Z]+_?[A-Z_]+)(?=[,.])/g)].map(([, number, name]) => [
      Number(number),
      name,
    ])
    for (const [index, name] of CLOSE_REASONS.entries())
      if (index > 0) expect(named).toContainEqual([index, name])
  })

  it('names every tag of a body', () => {
    const tags = new Set<number>()
    for (const [cell = ''] of table('| tag | value | follows')) {
      for (const part of cell.split(/[,\s]+/)) {
        const [from = '', to = from] = part.split('–')
        if (!/^[0-9a-f]{2}$/.test(from)) continue
        for (let tag = Number.parseInt(from, 16); tag <= Number.parseInt(to, 16); tag++) tags.add(tag)
      }
    }
    for (const tag of Object.values(TAG)) if (typeof tag === 'number') expect(tags).toContain(tag)
    expect(tags.has(0xff)).toBe(false)
  })
})
