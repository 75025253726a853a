import { execFileSync } from 'node:child_process'
import { chmod, mkdir, open, symlink } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { LINE_CHARS } from '../../examples/reader/limits.ts'
import { parsePage } from '../../examples/reader/parse.ts'
import { failureOf } from '../../examples/reader/pipeline.ts'
import { findDocuments, readLines, readText } from '../../examples/reader/read.ts'
import { drain, testFolder } from './folder.ts'

const folder = testFolder()
const failing = (path: string, options = {}): Promise<unknown> =>
  drain(readText(path, options)).then(
    () => expect.fail('was read'),
    (error: unknown) => error,
  )

describe('reading text', () => {
  it('gives the same text whatever the chunks, and never half a character', async () => {
    const text = `${'käse 🧀 ünd 漢字\n'.repeat(60)}end`
    const path = await folder.file('mixed.txt', text)
    for (const chunkBytes of [1, 2, 3, 7, 64 * 1024]) {
      const { items, output } = await drain(readText(path, { chunkBytes }))
      expect(items.join('')).toBe(text)
      expect(items.filter((item) => /\p{Cs}/u.test(item))).toEqual([])
      expect(output).toEqual({ bytes: Buffer.byteLength(text), encoding: 'utf-8' })
    }
  })

  it('takes byte order marks away and reads UTF-16 by them', async () => {
    const marked = await folder.file('bom.txt', '\ufeffhello')
    expect((await drain(readText(marked))).items.join('')).toBe('hello')
    const little = await folder.file('le.txt', Buffer.from('\ufeffgrüße 🧀', 'utf16le'))
    const read = await drain(readText(little, { chunkBytes: 3 }))
    expect([read.items.join(''), read.output.encoding]).toEqual(['grüße 🧀', 'utf-16le'])
    const big = await folder.file('be.txt', Buffer.from('\ufeffgrüße', 'utf16le').swap16())
    expect((await drain(readText(big))).items.join('')).toBe('grüße')
  })

  it('reads an empty file as nothing', async () => {
    expect(await drain(readText(await folder.file('empty.md', '')))).toEqual({
      items: [],
      output: { bytes: 0, encoding: 'utf-8' },
    })
  })

  it('stops between chunks when the signal says so, and closes the file when the loop is left', async () => {
    const path = await folder.file('long.txt', 'x'.repeat(300_000))
    const controller = new AbortController()
    const chunks = readText(path, { signal: controller.signal })
    await chunks.next()
    controller.abort(new Error('enough'))
    await expect(chunks.next()).rejects.toThrow('enough')
    for await (const _ of readText(path)) break
  })
})

describe('what cannot be read has a code, a reason and says what to do', () => {
  it.each([
    ['missing', 'NOT_FOUND', 'FILE_MISSING', /spelling/, async () => folder.path('nowhere.md')],
    [
      'below a file',
      'NOT_FOUND',
      'FILE_MISSING',
      /spelling/,
      async () => `${await folder.file('f.md', 'x')}/g.md`,
    ],
    [
      'a folder',
      'INVALID_ARGUMENT',
      'FILE_IS_DIRECTORY',
      /name the files in it/,
      async () => {
        await mkdir(folder.path('sub'), { recursive: true })
        return folder.path('sub')
      },
    ],
    [
      'binary',
      'INVALID_ARGUMENT',
      'FILE_IS_BINARY',
      /zero byte at 4.*export it as text/,
      () => folder.file('photo.md', new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0, 1, 2])),
    ],
    [
      'binary late',
      'INVALID_ARGUMENT',
      'FILE_IS_BINARY',
      /zero byte at 200000/,
      () => folder.file('late.md', `${'a'.repeat(200_000)}\0`),
    ],
    [
      'latin-1',
      'INVALID_ARGUMENT',
      'FILE_NOT_UTF8',
      /iconv/,
      () => folder.file('latin.md', Buffer.from('grüße', 'latin1')),
    ],
    [
      'cut within a character',
      'INVALID_ARGUMENT',
      'FILE_NOT_UTF8',
      /at its end, byte 6/,
      () => folder.file('cut.md', Buffer.from('abc🧀').subarray(0, 6)),
    ],
    ['a path with a zero byte', 'INVALID_ARGUMENT', 'FILE_MISSING', /usable path/, async () => 'a\0b.md'],
    [
      'a path too long',
      'INVALID_ARGUMENT',
      'FILE_MISSING',
      /usable path/,
      async () => folder.path('n'.repeat(300)),
    ],
    ['a device', 'INVALID_ARGUMENT', 'FILE_IS_SPECIAL', /save its content/, async () => '/dev/zero'],
    [
      'a loop of links',
      'INVALID_ARGUMENT',
      'FILE_MISSING',
      /usable path/,
      async () => {
        await symlink(folder.path('loop.md'), folder.path('loop.md'))
        return folder.path('loop.md')
      },
    ],
  ])('%s', async (_, code, reason, message, make) => {
    const failure = failureOf(await failing(await make()))
    expect(failure).toEqual({ code, reason, message: expect.stringMatching(message) })
  })

  it('a pipe nobody writes to, at once', async () => {
    execFileSync('mkfifo', [folder.path('pipe')])
    expect(failureOf(await failing(folder.path('pipe'))).reason).toBe('FILE_IS_SPECIAL')
  })

  it.skipIf(process.getuid?.() === 0)('a file that may not be read', async () => {
    const path = await folder.file('secret.md', 'x')
    await chmod(path, 0)
    expect(failureOf(await failing(path))).toMatchObject({
      code: 'PERMISSION_DENIED',
      reason: 'FILE_FORBIDDEN',
    })
  })

  it('a file over the bound', async () => {
    const path = await folder.file('big.txt', 'x'.repeat(3_000_000))
    expect(failureOf(await failing(path, { maxBytes: 2_097_152 }))).toEqual({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'FILE_TOO_LARGE',
      message: 'the file is larger than 2 MB; split it and name the parts',
    })
  })
})

describe('lines', () => {
  it('end with LF, CRLF or CR, also where a chunk ends between the two', async () => {
    const path = await folder.file('ends.txt', 'a\nb\r\nc\rd\r\n\r\ne\n\nf')
    for (const chunkBytes of [1, 2, 5, 100])
      expect((await drain(readLines(path, { chunkBytes }))).items).toEqual([
        'a',
        'b',
        'c',
        'd',
        '',
        'e',
        '',
        'f',
      ])
    expect((await drain(readLines(await folder.file('one.txt', 'x\r')))).items).toEqual(['x'])
  })

  it('are cut when they are very long', async () => {
    const { items } = await drain(readLines(await folder.file('wide.txt', 'y'.repeat(1_000_000))))
    expect(items.join('')).toHaveLength(1_000_000)
    expect(Math.max(...items.map((line) => line.length))).toBe(LINE_CHARS)
  })
})

it('finds documents, shallow ones first, without what is not the author’s', async () => {
  for (const name of ['b.md', 'a.md', 'c.txt', 'docs/z.MD', 'node_modules/m.md', 'dist/d.md', '.git/g.md'])
    await folder.file(`tree/${name}`, 'x')
  await symlink(folder.path('tree'), folder.path('tree/again'))
  expect(await findDocuments(folder.path('tree'))).toEqual(['a.md', 'b.md', 'docs/z.MD'])
  expect(await findDocuments(folder.path('tree'), { max: 1 })).toEqual(['a.md'])
  expect(await findDocuments(folder.path('nowhere'))).toEqual([])
})

it('reads 50 MB within bounded memory, every word counted', async () => {
  const path = folder.path('fifty.md')
  const file = await open(path, 'w')
  const sentence = 'The quick brown fox jumps over the lazy dog again. '
  const block = `${sentence.repeat(20)}\n\n`
  const blocks = Math.ceil((50 * 1024 * 1024) / block.length)
  for (let at = 0; at < blocks; at += 500) await file.write(block.repeat(Math.min(500, blocks - at)))
  await file.close()
  const before = process.memoryUsage().rss
  let peak = before
  const page = await parsePage(path, readText(path), {
    onProgress: () => {
      peak = Math.max(peak, process.memoryUsage().rss)
    },
  })
  peak = Math.max(peak, process.memoryUsage().rss)
  expect(page.words).toBe(blocks * 20 * 10)
  expect(page.notice).toMatch(/first 2\.0 of 50\.\d million characters; words counted in all/)
  expect(page.text.length).toBeLessThanOrEqual(200_000)
  console.log(`50 MB: memory grew by ${Math.round((peak - before) / 1_048_576)} MB`)
  expect(peak - before).toBeLessThan(100 * 1024 * 1024)
})
