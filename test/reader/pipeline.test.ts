import { appendFile, readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { HistoryFile } from '../../examples/reader/historyFile.ts'
import { Language } from '../../examples/reader/language.ts'
import { parsePage } from '../../examples/reader/parse.ts'
import { failureOf, readAll, retrying, type Services } from '../../examples/reader/pipeline.ts'
import { readText } from '../../examples/reader/read.ts'
import { comparable } from '../../examples/reader/results.ts'
import { type HistoryEntry, Row } from '../../examples/reader/schemas.ts'
import { testFolder } from './folder.ts'

const folder = testFolder()
const language = new Language()
const away = (): Error =>
  Object.assign(new Error('the target is not there'), { code: 'UNAVAILABLE', reason: 'LINK_LOST' })

function services(entries: HistoryEntry[] = []): Services {
  return {
    parse: ({ path }) => parsePage(path, readText(path)),
    analyze: (input, signal) => language.analyze(input, signal),
    append: async (entry) => {
      if (!entries.some(({ key }) => key === entry.key)) entries.push(entry)
    },
  }
}

async function documents(): Promise<string[]> {
  return [
    await folder.file('one.md', '# One\n\nA wonderful goal won the match for Anna Berger in Madrid.'),
    folder.path('missing.md'),
    await folder.file('two.html', '<title>Two</title><p>The terrible bank crisis hurt investors in Chicago.'),
    await folder.file('binary.md', new Uint8Array([1, 0, 2])),
    await folder.file('empty.txt', ''),
  ]
}

describe('reading all', () => {
  it('gives one row a document, in order, with results or reasons', async () => {
    const paths = await documents()
    const entries: HistoryEntry[] = []
    const done: number[] = []
    const rows = await readAll(paths, services(entries), {
      run: 'r',
      display: (path) => path.slice(folder.path().length),
      onRow: (_, count) => done.push(count),
    })
    for (const row of rows) Row.parse(row)
    expect(rows.map((row) => (row.ok ? [row.title, row.words, row.category] : row.failure.reason))).toEqual([
      ['One', 12, 'sports'],
      'FILE_MISSING',
      ['Two', 8, 'business'],
      'FILE_IS_BINARY',
      ['empty', 0, 'unknown'],
    ])
    expect(rows[0]).toMatchObject({
      path: expect.stringMatching(/one\.md$/),
      sentiment: { label: 'positive' },
    })
    expect(done).toEqual([1, 2, 3, 4, 5])
    expect(entries.map(({ row }) => row.path).sort()).toEqual(rows.map((row) => row.path).sort())
  })

  it('gives the same rows when every call fails now and then because its process is away', async () => {
    const paths = await documents()
    const calm = await readAll(paths, services(), { run: 'r' })
    const entries: HistoryEntry[] = []
    const real = services(entries)
    let calls = 0
    const flaky = <In, Out>(call: (input: In, signal: AbortSignal | undefined) => Promise<Out>) => {
      return async (input: In, signal: AbortSignal | undefined): Promise<Out> => {
        const turn = calls++ % 3
        if (turn === 0) throw away()
        const output = await call(input, signal)
        if (turn === 1) throw away()
        return output
      }
    }
    const shaken = await readAll(
      paths,
      { parse: flaky(real.parse), analyze: flaky(real.analyze), append: flaky(real.append) },
      { run: 'r', retry: { delayMs: 1, attempts: 50 } },
    )
    expect(comparable(shaken)).toBe(comparable(calm))
    expect(entries).toHaveLength(paths.length)
  })

  it('says when the history did not keep a row, and rejects only when it is told to stop', async () => {
    const paths = await documents()
    const broken = {
      ...services(),
      append: () => Promise.reject(Object.assign(new Error('disk full'), { code: 'RESOURCE_EXHAUSTED' })),
    }
    const rows = await readAll(paths.slice(0, 1), broken, { run: 'r' })
    expect(rows[0]).toMatchObject({
      ok: false,
      failure: { code: 'RESOURCE_EXHAUSTED', message: 'not kept in the history: disk full' },
    })
    await expect(
      readAll(paths, services(), { run: 'r', signal: AbortSignal.abort(new Error('enough')) }),
    ).rejects.toThrow('enough')
    expect(await readAll([], services(), { run: 'r' })).toEqual([])
  })
})

describe('calling again', () => {
  it('happens for a target that is away, a bounded number of times, and for nothing else', async () => {
    let calls = 0
    const failing = (error: unknown) => (): Promise<never> => {
      calls++
      return Promise.reject(error)
    }
    await expect(retrying(failing(away()), { attempts: 3, delayMs: 1 })).rejects.toThrow('not there')
    expect(calls).toBe(3)
    await expect(retrying(failing(new Error('bug')), { delayMs: 1 })).rejects.toThrow('bug')
    expect(calls).toBe(4)
  })

  it('stops while it waits', async () => {
    const controller = new AbortController()
    setTimeout(() => controller.abort(new Error('enough')), 10)
    const waiting = retrying(() => Promise.reject(away()), {
      delayMs: 60_000,
      random: () => 1,
      signal: controller.signal,
    })
    await expect(waiting).rejects.toThrow('enough')
  })

  it('reads a failure from whatever was thrown', () => {
    expect(failureOf('text')).toEqual({ code: 'UNKNOWN', reason: 'UNKNOWN', message: 'text' })
    expect(failureOf(undefined).code).toBe('UNKNOWN')
    expect(failureOf(new Error('')).message).toMatch(/without saying why/)
    expect(failureOf({ code: 5, reason: 'x' }).code).toBe('UNKNOWN')
    expect(failureOf(Object.assign(new Error('x'), { code: 'ENOSPC' }))).toMatchObject({
      reason: 'FILE_UNREADABLE',
    })
    expect(failureOf(away())).toEqual({
      code: 'UNAVAILABLE',
      reason: 'LINK_LOST',
      message: 'the target is not there',
    })
  })
})

describe('the history file', () => {
  const entry = (key: string): HistoryEntry => ({
    key,
    at: '2026-01-02T03:04:05.678Z',
    row: {
      ok: false,
      path: `${key}.md`,
      failure: { code: 'NOT_FOUND', reason: 'FILE_MISSING', message: 'no such file' },
      elapsedMs: 1,
    },
  })

  it('keeps entries over restarts, each key once', async () => {
    const path = folder.path('state/history.jsonl')
    const first = await HistoryFile.open(path)
    expect(await Promise.all(['a', 'b', 'a'].map((key) => first.append(entry(key))))).toEqual([
      true,
      true,
      false,
    ])
    await first.close()
    const second = await HistoryFile.open(path)
    expect(await second.append(entry('b'))).toBe(false)
    expect(await second.append(entry('__proto__'))).toBe(true)
    expect(second.recent(2).map(({ key }) => key)).toEqual(['b', '__proto__'])
    expect(second.recent(0)).toEqual([])
    await second.close()
    expect((await readFile(path, 'utf8')).trim().split('\n')).toHaveLength(3)
  })

  it('passes over a line that a killed process left half written', async () => {
    const path = folder.path('torn.jsonl')
    const first = await HistoryFile.open(path)
    await first.append(entry('a'))
    await first.close()
    await appendFile(path, '{"key":"torn","at":"2026')
    const second = await HistoryFile.open(path)
    expect(await second.append(entry('b'))).toBe(true)
    await second.close()
    const third = await HistoryFile.open(path)
    expect(third.recent(10).map(({ key }) => key)).toEqual(['a', 'b'])
    await third.close()
  })
})
