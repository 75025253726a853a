import { describe, expect, it } from 'vitest'
import { readOptions, shownPath, UsageError } from '../../examples/reader/options.ts'
import { ProgressBar } from '../../examples/reader/progress.ts'
import { comparable, resultNotes, resultsTable } from '../../examples/reader/results.ts'
import type { Row } from '../../examples/reader/schemas.ts'
import {
  colorsFor,
  displayWidth,
  truncate,
  truncateStart,
  visible,
  wantsColor,
} from '../../examples/reader/terminal.ts'
import {
  bytesText,
  msText,
  type Traffic,
  total,
  totalText,
  trafficTable,
} from '../../examples/reader/traffic.ts'

const plain = colorsFor({ write: () => true }, {})
const bright = colorsFor({ write: () => true, isTTY: true }, {})

const good: Row = {
  ok: true,
  path: 'docs/guide.md',
  title: 'A guide',
  words: 12_345,
  sentences: 20,
  readingSeconds: 60,
  category: 'software',
  confidence: 0.914,
  sentiment: { label: 'positive', score: 0.5, positive: 4, negative: 1 },
  entities: ['Ada', 'Berlin', 'ACME', 'Fourth'].map((name, index) => ({
    name,
    kind: 'person',
    count: 1,
    index,
  })),
  notice: '',
  elapsedMs: 12.4,
}
const failed: Row = {
  ok: false,
  path: 'nowhere.md',
  failure: {
    code: 'NOT_FOUND',
    reason: 'FILE_MISSING',
    message: 'no such file; check the spelling of its path',
  },
  elapsedMs: 1,
}

describe('text on a terminal', () => {
  it.each([
    ['abc', 3],
    ['漢字', 4],
    ['e\u0301', 1],
    ['🧀', 2],
    ['👩‍👩‍👧', 2],
    ['🇩🇪', 2],
    ['❤️', 2],
    ['ｆｕｌｌ', 8],
    ['', 0],
  ])('%j takes %i columns', (text, width) => {
    expect(displayWidth(text)).toBe(width)
  })

  it('is cut between graphemes and fits', () => {
    expect(truncate('漢字かな', 5)).toBe('漢字…')
    expect(truncate('漢字かな', 4)).toBe('漢…')
    expect(truncateStart('/a/long/path.md', 8)).toBe('…path.md')
    for (let width = 0; width < 12; width++) {
      expect(displayWidth(truncate('a漢👩‍👩‍👧e\u0301字b', width))).toBeLessThanOrEqual(width)
      expect(displayWidth(truncateStart('a漢👩‍👩‍👧e\u0301字b', width))).toBeLessThanOrEqual(width)
    }
  })

  it('shows what would act on the terminal or deceive the reader', () => {
    expect(visible('a\u001b[31mred\u0007')).toBe('a\\u{1b}[31mred\\u{7}')
    expect(visible('exe\u202efdp.md')).toBe('exe\\u{202e}fdp.md')
    expect(visible('a\nb\tc\r')).toBe('a\\nb\\tc\\u{d}')
    expect(visible('\u009b2J\u2066\u200b\u{e0041}\ud800')).toBe(
      '\\u{9b}2J\\u{2066}\\u{200b}\\u{e0041}\\u{d800}',
    )
    expect(visible('grüße 漢字 👩‍👩‍👧')).toBe('grüße 漢字 👩‍👩‍👧')
  })

  it('has colour where it is wanted', () => {
    const screen = { write: () => true, isTTY: true }
    expect(wantsColor(screen, {})).toBe(true)
    expect(wantsColor(screen, { NO_COLOR: '1', FORCE_COLOR: '1' })).toBe(false)
    expect(wantsColor(screen, { NO_COLOR: '' })).toBe(true)
    expect(wantsColor(screen, { TERM: 'dumb' })).toBe(false)
    expect(wantsColor({ write: () => true }, {})).toBe(false)
    expect(wantsColor({ write: () => true }, { FORCE_COLOR: '1' })).toBe(true)
  })
})

describe('the results table', () => {
  it('shows results and failures', () => {
    expect(resultsTable([good, failed], { width: 120, colors: plain }).join('\n')).toMatchInlineSnapshot(`
      "file           title                    words  category  sure   tone  names                                         ms
      ─────────────  ──────────────────────  ──────  ────────  ────  ─────  ────────────────────────────────────────────  ──
      docs/guide.md  A guide                 12,345  software   91%  +0.50  Ada, Berlin, ACME                             12
      nowhere.md     NOT_FOUND FILE_MISSING                                 no such file; check the spelling of its path   1"
    `)
  })

  it('fits the screen, whatever is in it', () => {
    const wild: Row = { ...good, path: `${'漢'.repeat(90)}\u001b[2J.md`, title: '\u202e👩‍👩‍👧'.repeat(50) }
    for (const width of [75, 90, 140]) {
      for (const line of resultsTable([wild, good, failed], { width, colors: plain })) {
        expect(displayWidth(line)).toBeLessThanOrEqual(width)
        expect(line).not.toMatch(/\p{Cc}|\u202e/u)
      }
    }
    expect(resultsTable([], { colors: plain })).toHaveLength(2)
  })

  it('is as wide with colours as without', () => {
    const colored = resultsTable([good, failed], { width: 100, colors: bright }).join('\n')
    expect(colored).toContain('\u001b[31m')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are what is taken away here
    expect(colored.replace(/\u001b\[\d+m/g, '')).toBe(
      resultsTable([good, failed], { width: 100, colors: plain }).join('\n'),
    )
  })

  it('has notes with the whole reason, and rows compare without their times', () => {
    expect(resultNotes([good, failed, { ...good, notice: 'cut' }])).toEqual([
      {
        path: 'nowhere.md',
        text: 'NOT_FOUND (FILE_MISSING): no such file; check the spelling of its path',
        failed: true,
      },
      { path: 'docs/guide.md', text: 'cut', failed: false },
    ])
    expect(comparable([good])).toBe(comparable([{ ...good, elapsedMs: 99 }]))
    expect(comparable([good])).not.toBe(comparable([{ ...good, words: 1 }]))
  })
})

describe('the traffic table', () => {
  const traffic: Traffic[] = [
    {
      from: 'main',
      to: 'ai-1',
      method: 'analysis.analyze',
      calls: 3,
      events: 0,
      streams: 0,
      items: 0,
      bytes: 2_048,
      p50Ms: 1.234,
      p95Ms: 45.6,
      p99Ms: 1_234,
      errors: 1,
      restarts: 2,
    },
    {
      from: 'main',
      to: 'ai-1',
      method: 'other',
      calls: 0,
      events: 0,
      streams: 6,
      items: 7,
      bytes: 1,
      p50Ms: null,
      p95Ms: null,
      p99Ms: null,
      errors: 0,
      restarts: 2,
    },
  ]

  it('shows each way and the sums, restarts counted once a peer', () => {
    expect(total(traffic)).toMatchObject({ calls: 3, streams: 6, items: 7, bytes: 2_049, restarts: 2 })
    expect(totalText(traffic)).toBe('3 calls, 0 events, 6 streams of 7 items, 2.00 KiB, 1 error, 2 restarts')
    expect(trafficTable(traffic, { width: 120, colors: plain }).join('\n')).toMatchInlineSnapshot(`
      "from → to    method                 sent  items     bytes  p50 ms   p95    p99  errors  restarts
      ───────────  ────────────────  ─────────  ─────  ────────  ──────  ────  ─────  ──────  ────────
      main → ai-1  analysis.analyze    3 calls         2.00 KiB    1.23  45.6  1,234       1         2
      main → ai-1  other             6 streams      7       1 B                                      2"
    `)
  })

  it('leaves out what a narrow screen has no room for', () => {
    const [titles, ...lines] = trafficTable(traffic, { width: 64, colors: plain })
    expect(titles).toMatch(/^from → to +method +sent +bytes +p50 ms +p99$/)
    for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(64)
  })

  it('writes sizes and times with three figures', () => {
    expect([0, 1_023, 1_024, 1_048_575, 5 * 1_048_576, 2 ** 40].map(bytesText)).toEqual([
      '0 B',
      '1023 B',
      '1.00 KiB',
      '1.00 MiB',
      '5.00 MiB',
      '1.00 TiB',
    ])
    expect([0.0123, 9.99, 12.34, 123.4, null].map(msText)).toEqual(['0.01', '9.99', '12.3', '123', ''])
  })
})

describe('progress', () => {
  const screen = (
    isTTY: boolean,
  ): { lines: string[]; write(text: string): void; isTTY: boolean; columns: number } => {
    const lines: string[] = []
    return { lines, write: (text) => void lines.push(text), isTTY, columns: 40 }
  }

  it('is one line on a terminal, never wider than it, redrawn at most every 50 ms', () => {
    const tty = screen(true)
    let now = 0
    const bar = new ProgressBar(10, tty, () => now)
    for (let at = 0; at <= 10; at++, now += 20) bar.update(at, `a very long file name ${at} \u001b[2J.md`)
    bar.finish()
    expect(tty.lines.length).toBeLessThan(8)
    for (const line of tty.lines) {
      expect(line.startsWith('\r\u001b[K')).toBe(true)
      expect(line.slice(4)).not.toMatch(/\p{Cc}/u)
      expect(displayWidth(line.slice(4))).toBeLessThan(40)
    }
    expect(tty.lines.at(-1)).toBe('\r\u001b[K')
  })

  it('is sparse lines elsewhere', () => {
    const log = screen(false)
    const bar = new ProgressBar(1_000, log, () => 0)
    for (let at = 0; at <= 1_000; at++) bar.update(at)
    bar.finish()
    expect(log.lines).toHaveLength(11)
    expect(log.lines.at(-1)).toBe('1000 of 1000\n')
    const none = screen(false)
    new ProgressBar(0, none, () => 0).update(0)
    expect(none.lines).toEqual(['0 of 0\n'])
  })
})

describe('the command line', () => {
  it('finds files from where the user stands, each once', () => {
    expect(readOptions(['a.md', '--chaos', './a.md', '/b.md', '--', '--odd.md'], '/home/u')).toEqual({
      files: ['/home/u/a.md', '/b.md', '/home/u/--odd.md'],
      chaos: true,
      seed: 1,
      stay: false,
      json: false,
      python: false,
      app: 'reader',
      help: false,
    })
    expect(readOptions([], '/x').files).toEqual([])
  })

  it('refuses what it does not know', () => {
    expect(() => readOptions(['--cahos'], '/x')).toThrow(UsageError)
    expect(() => readOptions(['--chaos=yes'], '/x')).toThrow(UsageError)
    expect(() => readOptions(['--seed', '-1'], '/x')).toThrow(UsageError)
  })

  it('shows paths as the user writes them', () => {
    expect(shownPath('/home/u/docs/a.md', '/home/u')).toBe('docs/a.md')
    expect(shownPath('/etc/a.md', '/home/u')).toBe('/etc/a.md')
  })
})
