import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { EXPLANATIONS, explanationOf } from '../../src/cli/explanations.ts'
import { jsonFault } from '../../src/cli/jsonFault.ts'
import { near } from '../../src/cli/near.ts'
import { duration } from '../../src/cli/session.ts'
import { table } from '../../src/cli/table.ts'
import { bytesText, visible, visibleJson, width } from '../../src/cli/text.ts'
import { toJson } from '../../src/cli/values.ts'
import { CLOSE_REASONS } from '../../src/wire/closeReason.ts'
import { CODES } from '../../src/wire/errors.ts'
import { REASONS } from '../../src/wire/reasons.ts'

describe('explanations', () => {
  it('cover every code, every reason of the sources and every end of a link', () => {
    const source = fileURLToPath(new URL('../../src', import.meta.url))
    const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.startsWith('cli'))
      .map((name) => readFileSync(join(source, name), 'utf8'))
    const said = files.flatMap((text) =>
      [...text.matchAll(/reason: '([A-Z_]+)'/g)].map(([, reason]) => reason ?? ''),
    )
    const words = new Set([...said, ...Object.keys(CODES), ...Object.keys(REASONS), ...CLOSE_REASONS])
    const unknown = [...words].filter((word) => explanationOf(word) === undefined)
    expect(unknown).toEqual([])
    expect(words.size).toBeGreaterThan(50)
  })

  it('agree with the codes that the links give, and say what to do', () => {
    for (const [name, { code }] of Object.entries(REASONS)) expect(explanationOf(name)?.code, name).toBe(code)
    for (const { name, what, causes, remedies } of EXPLANATIONS) {
      expect(what, name).toMatch(/\.$/)
      expect(causes.length, name).toBeGreaterThan(0)
      expect(remedies.length, name).toBeGreaterThan(0)
    }
    const names = EXPLANATIONS.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
  })
})

describe('text', () => {
  it('shows what a terminal would obey', () => {
    expect(visible('a\u001b[31m\u009b\u202e\u200b\u2028\n\ud800')).toBe(
      'a\\u001b[31m\\u009b\\u202e\\u200b\\u2028\\u000a\\ud800',
    )
    const hostile = { '\u202e': '\u009b\u007f\u{e0041}' }
    const json = visibleJson(JSON.stringify(hostile))
    expect(json).toMatch(/^[\x20-\x7e]*$/)
    expect(JSON.parse(json)).toEqual(hostile)
  })

  it('measures wide and combined characters', () => {
    expect(['abc', '漢字', 'e\u0301', '👍', 'ｱ', 'é→'].map(width)).toEqual([3, 4, 1, 2, 1, 2])
    const lines = table(
      [{ name: '漢字' }, { name: 'abc' }],
      [
        { title: 'NAME', cell: ({ name }) => name },
        { title: 'N', cell: () => '1', align: 'right' },
      ],
      (text) => text,
    )
    expect(lines).toEqual(['NAME  N', '漢字  1', 'abc   1'])
  })

  it('writes sizes and reads times', () => {
    expect([0, 999, 1000, 12_345, 999_600, 5e9].map(bytesText)).toEqual([
      '0 B',
      '999 B',
      '1.0 kB',
      '12 kB',
      '1.0 MB',
      '5.0 GB',
    ])
    expect(['12h', '7d'].map(duration)).toEqual([43_200_000, 604_800_000])
    expect(['0', '500ms', '1.5s', '2m'].map(duration)).toEqual([0, 500, 1500, 120_000])
    for (const wrong of ['', '5', '-1s', '1w', 's']) expect(() => duration(wrong)).toThrow('is no time')
  })
})

describe('values', () => {
  it('are JSON, whatever they are', () => {
    const value = {
      gone: undefined,
      none: [undefined, null, Number.NaN, -0],
      when: new Date(Number.NaN),
      pairs: new Map([[1, new Set(['x'])]]),
      error: Object.assign(new TypeError('no'), { code: 'E', cause: new Error('why') }),
      buffer: new Uint8Array([255]).buffer,
    }
    expect(JSON.parse(toJson(value))).toEqual({
      none: [null, null, 'NaN', 0],
      when: 'Invalid Date',
      pairs: [[1, ['x']]],
      error: { name: 'TypeError', message: 'no', code: 'E', cause: { name: 'Error', message: 'why' } },
      buffer: { type: 'ArrayBuffer', bytes: 1, base64: '/w==' },
    })
  })
})

describe('near', () => {
  const names = ['pages.analyze', 'pages.lines', 'ai-1', 'ai-2', 'history']
  it('finds slips, tails and beginnings, and nothing else', () => {
    expect(near('pages.analyse', names)).toEqual(['pages.analyze'])
    expect(near('analyze', names)).toEqual(['pages.analyze'])
    expect(near('ai', names)).toEqual(['ai-1', 'ai-2'])
    expect(near('hsitory', names)).toEqual(['history'])
    expect(near('network', names)).toEqual([])
  })
})

describe('the place where JSON goes wrong', () => {
  it('is found where the platform only says that it does', () => {
    const faults: [text: string, at: number][] = [
      ['', 0],
      ['{', 1],
      ['{"a" 1}', 5],
      ['{"a":1,}', 7],
      ["{'a':1}", 1],
      ['[1 2]', 3],
      ['[1,]', 3],
      ['"a\nb"', 2],
      ['"\\x"', 1],
      ['01', 1],
      ['tru', 0],
      ['1 2', 2],
      ['[1]]', 3],
    ]
    for (const [text, at] of faults) {
      expect(() => JSON.parse(text), text).toThrow()
      expect(jsonFault(text)?.at, text).toBe(at)
    }
  })

  it('is nowhere in what the platform takes', () => {
    const good = ['0', '-1.5e+3', '"\\u0041\\n"', ' [ ] ', '{"a":{"b":[1,true,null,{}]}}', '"é漢"', '[[[]]]']
    for (const text of good) {
      JSON.parse(text)
      expect(jsonFault(text), text).toBeUndefined()
    }
  })
})
