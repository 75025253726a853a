import { describe, expect, it } from 'vitest'
import { lineLog } from '../../src/mailbox/log.ts'

function linesOf(level: Parameters<typeof lineLog>[1]) {
  const lines: string[] = []
  return {
    lines,
    log: lineLog(
      (line) => lines.push(line),
      level,
      () => Date.UTC(2024, 0, 1),
    ),
  }
}

describe('a line', () => {
  it('has time, level, text, and fields as JSON', () => {
    const { lines, log } = linesOf('debug')
    log('info', 'ACK sent', { group: 'main', at: [1, null] })
    log('debug', 'nothing', {})
    expect(lines).toEqual([
      'viaduct mailbox: 2024-01-01T00:00:00.000Z info ACK sent {"group":"main","at":[1,null]}\n',
      'viaduct mailbox: 2024-01-01T00:00:00.000Z debug nothing\n',
    ])
  })

  it('is there from its level on', () => {
    const { lines, log } = linesOf('warn')
    for (const level of ['debug', 'info', 'warn', 'error'] as const) log(level, level, {})
    expect(lines.map((line) => line.split(' ')[3])).toEqual(['warn', 'error'])
  })

  it('shows what others chose, and obeys none of it', () => {
    const { lines, log } = linesOf('debug')
    const hostile = 'a\nb\u001b[31m\u202e\u2028\u200b\u0000\ud800'
    log('info', hostile, { [hostile]: hostile })
    expect(lines.join('')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}](?!$)/u)
    expect(lines.join('').trimEnd()).not.toContain('\n')
    const fields: unknown = JSON.parse(lines[0]?.slice(lines[0].indexOf('{')) ?? '')
    expect(fields).toEqual({ [hostile]: hostile })
  })

  it('is short, whatever is in it, and still JSON', () => {
    const { lines, log } = linesOf('debug')
    log('info', 'long', { id: 'short', type: 'x'.repeat(100_000), error: { deep: 'y'.repeat(100_000) } })
    expect(lines[0]?.length).toBeLessThan(5_000)
    const fields: unknown = JSON.parse(lines[0]?.slice(lines[0].indexOf('{')) ?? '')
    expect(fields).toMatchObject({ id: 'short', type: expect.stringMatching(/^x+…$/) })
  })
})
