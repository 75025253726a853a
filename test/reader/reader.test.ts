import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { corpusFolder, labelledDocuments } from '../../examples/reader/corpus.ts'
import { comparable } from '../../examples/reader/results.ts'
import type { Row } from '../../examples/reader/schemas.ts'
import { bytesText } from '../../examples/reader/traffic.ts'
import { isRunning } from '../../src/host/processInfo.ts'
import { type HubStats, isViaductError, join } from '../../src/index.ts'
import { testFolder } from './folder.ts'
import { DIST, Program, peakMemory, ROOT } from './program.ts'

const MIB = 1024 * 1024
/** Where the reader keeps its history, and what waits for it. */
const CACHE = `${ROOT}.cache/reader`
const folder = testFolder()
const labelled = labelledDocuments().map(({ name }) => `${corpusFolder()}/labelled/${name}`)

/** Documents of which we know what must come out. */
async function known(): Promise<string[]> {
  return [
    await folder.file('long.md', `# A long one\n\n${'The train left the station again. '.repeat(400)}`),
    await folder.file('short.md', '# A short one\n\nThe train left.'),
    await folder.file('glad.txt', 'A wonderful, excellent day: happy people love this brilliant success.'),
    await folder.file('sad.txt', 'A terrible, awful day: angry people hate this horrible disaster.'),
    await folder.file(
      // As long as a path in a deep folder: it is a key of events, a name in tables and in the history.
      `${'deep/'.repeat(60)}names.html`,
      '<title>Names</title><p>Angela Merkel met Barack Obama in Berlin. Barack Obama flew home to Chicago.</p>',
    ),
  ]
}

/** Of a size that goes in many frames, and one paragraph that would hang what is not linear. */
async function heavy(): Promise<string[]> {
  const links = Array.from(
    { length: 600 },
    (_, at) => `[${'漢'.repeat(150)}](https://a.test/${'漢'.repeat(1_900)}${at})`,
  )
  return [
    await folder.file('links.md', links.join('\n\n')),
    await folder.file('dense.md', '漢字 かな。'.repeat(40_000)),
  ]
}

async function bad(): Promise<string[]> {
  await mkdir(folder.path('folder.md'), { recursive: true })
  return [
    folder.path('missing.md'),
    folder.path('folder.md'),
    await folder.file('binary.md', new Uint8Array([0x50, 0x4b, 3, 4, 0, 0])),
  ]
}

async function large(): Promise<string> {
  const path = folder.path('large.txt')
  const file = await open(path, 'w')
  const part = `${'Every word of this large file counts as one. '.repeat(4)}\n`.repeat(5_793).slice(0, MIB)
  for (let written = 0; written < 50; written++) await file.write(part)
  await file.close()
  return path
}

/** An empty folder for temporary files; what the reader leaves in it is what it leaves behind. */
async function temporary(): Promise<string> {
  const path = folder.path(`tmp${Math.random().toString(36).slice(2)}`)
  await mkdir(path)
  return path
}

function good(row: Row | undefined): Row & { ok: true } {
  if (row?.ok) return row
  throw new Error(`no result: ${JSON.stringify(row)}`)
}

/** The paths that the history has of a run that began after a time, each as often as it has it. */
async function keptBy({ process: { pid } }: Program, since: number): Promise<string[]> {
  const lines = (await readFile(`${CACHE}/test.jsonl`, 'utf8')).split('\n')
  const paths = lines.flatMap((line) => {
    const [, time, of, path = ''] = /^\{"key":"(\d+)-(\d+):\d+:(.+?)","at":/.exec(line) ?? []
    return Number(of) === pid && Number(time) >= since ? [path] : []
  })
  return paths.sort()
}

/** A process that ends has closed its output a little before it is gone. */
async function expectEnded(pids: Iterable<number>): Promise<void> {
  const all = [...pids]
  await vi.waitFor(() => expect(all.filter(isRunning)).toEqual([]), { timeout: 30_000 })
}

async function expectNothingLeft(pids: Iterable<number>, place: string): Promise<void> {
  await expectEnded(pids)
  expect(await readdir(place)).toEqual([])
}

describe('the rows', () => {
  let calm: Row[]
  let paths: string[]
  beforeAll(async () => {
    paths = [...(await known()), ...(await bad()), ...(await heavy()), ...labelled]
    const place = await temporary()
    const program = new Program(['--json', ...paths], place)
    expect(await program.ended).toBe(0)
    calm = program.rows
    await expectNothingLeft([], place)
  })

  it('differ as the documents do', () => {
    expect(calm.map(({ ok }) => ok)).toEqual(paths.map((path) => !/missing|folder\.md|binary/.test(path)))
    const [long, short, glad, sad, names] = calm.slice(0, 5).map(good)
    expect([long?.words, short?.words]).toEqual([2_403, 6])
    expect([long?.title, names?.title]).toEqual(['A long one', 'Names'])
    expect(glad?.sentiment).toMatchObject({ label: 'positive', negative: 0 })
    expect(sad?.sentiment).toMatchObject({ label: 'negative', positive: 0 })
    const found = names?.entities.map(({ name }) => name) ?? []
    expect(found).toEqual(expect.arrayContaining(['Angela Merkel', 'Barack Obama', 'Chicago']))
    for (const name of found)
      expect('Angela Merkel met Barack Obama in Berlin. Barack Obama flew home to Chicago.').toContain(name)
    expect(
      calm.slice(5, 8).map((row) => (row.ok ? '' : `${row.failure.code} ${row.failure.reason}`)),
    ).toEqual([
      'NOT_FOUND FILE_MISSING',
      'INVALID_ARGUMENT FILE_IS_DIRECTORY',
      'INVALID_ARGUMENT FILE_IS_BINARY',
    ])
  })

  it('are the same when every child is killed on purpose', async () => {
    const place = await temporary()
    const startedAt = Date.now()
    const program = new Program(['--json', '--chaos', ...paths], place)
    expect(await program.ended).toBe(0)
    expect(comparable(program.rows)).toBe(comparable(calm))
    expect(program.stderr).toContain(`History: ${paths.length} entries kept.`)
    expect(await keptBy(program, startedAt)).toEqual([...paths].sort())
    expect(await readdir(CACHE)).not.toContain('test.mail')
    const [, kills, restarts, who] = await program.until(/Chaos: (\d+) kills\.\n(\d+) restarts: (.*)\./)
    expect(kills).toBe(restarts)
    for (const id of ['network-1', 'renderer-1', 'renderer-2', 'ai-1', 'plugin-1', 'history-1'])
      expect(who).toContain(id)
    await expectNothingLeft([], place)
  })
})

describe('an AI process in Python', () => {
  it('makes the same rows, and again when it and all others are killed on purpose', {
    timeout: 240_000,
  }, async () => {
    const paths = [...(await known()), ...labelled]
    const rows: string[] = []
    for (const args of [[], ['--python'], ['--python', '--chaos']]) {
      const place = await temporary()
      const program = new Program(['--json', ...args, ...paths], place)
      expect([args, await program.ended, program.stderr]).toEqual([args, 0, expect.any(String)])
      rows.push(comparable(program.rows))
      if (args.includes('--chaos')) expect(program.stderr).toMatch(/restarts?: .*ai-1/)
      await expectNothingLeft([], place)
    }
    expect(rows[1]).toBe(rows[0])
    expect(rows[2]).toBe(rows[0])
    expect(JSON.parse(rows[0] ?? '[]')).toHaveLength(paths.length)
  })
})

describe('the tables', () => {
  let program: Program
  let place: string
  let pids: Map<string, number>
  let stats: HubStats
  beforeAll(async () => {
    place = await temporary()
    const paths = [...(await known()), ...(await bad()), await large(), ...labelled]
    program = new Program(['--stay', ...paths], place)
    pids = await program.pids()
    await program.until(/stay until Ctrl-C/)
    const cli = await join({ app: 'test', id: 'cli', base: place })
    stats = (await cli.call('$hub.stats')) as HubStats
    cli.close()
  })

  it('are those of seven processes and a hub', () => {
    expect([...pids.keys()].sort()).toEqual(
      ['ai-1', 'history-1', 'hub', 'main', 'network-1', 'plugin-1', 'renderer-1', 'renderer-2'].sort(),
    )
    expect(new Set(pids.values()).size).toBe(8)
    expect([...pids.values()].every(isRunning)).toBe(true)
  })

  it('show the accuracy on the labelled documents', () => {
    const [, right, of] = /Accuracy: (\d+) of (\d+) labelled documents/.exec(program.stdout) ?? []
    expect(Number(of)).toBe(20)
    expect(Number(right)).toBeGreaterThanOrEqual(18)
  })

  it('show the traffic that the hub itself has counted', () => {
    const app = stats.traffic.filter(({ method }) => !method.startsWith('$hub.'))
    const active = app.filter(({ calls, oneWay, items }) => calls + oneWay + items > 0)
    expect(active.length).toBeGreaterThan(10)
    for (const { from, to, method, calls, oneWay, items, bytes } of active) {
      const isTopic = from === 'topics' || to === 'topics'
      const what = isTopic ? 'event' : method === 'documents.text' ? 'stream' : 'call'
      const sent = isTopic ? oneWay + items : calls
      const row = [
        `${from} → ${to}`,
        method,
        `${sent.toLocaleString('en')} ${what}${sent === 1 ? '' : 's'}`,
        ...(what === 'stream' ? [items.toLocaleString('en')] : []),
        bytesText(bytes),
      ]
      expect(
        program.stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, row.length)),
      ).toContainEqual(row)
    }
    const shown = program.stdout
      .split('\n')
      .filter((line) => /^\S+ → \S+ /.test(line) && !/^from →/.test(line))
    expect(shown).toHaveLength(active.length)
    expect(active.filter(({ from }) => from === 'main').map(({ method }) => method)).toEqual(
      expect.arrayContaining(['pages.parse', 'analysis.analyze', 'plugin.attempts']),
    )
  })

  it('show what the hub refused the plugin, which reached nobody', () => {
    const table = program.stdout.slice(program.stdout.indexOf('What the plugin tried'))
    expect(table.match(/^\S+ +OK$/gm)?.map((line) => line.split(' ')[0])).toEqual([
      'analysis.analyze',
      'pages.opened',
    ])
    expect(
      table.match(/^\S+ +PERMISSION_DENIED .*no rule of the manifest/gm)?.map((line) => line.split(' ')[0]),
    ).toEqual(['pages.progress', 'documents.text', 'pages.parse', 'history.recent', '$hub.who', '$hub.kill'])
    const arrived = stats.traffic.filter(({ from, calls }) => from === 'plugin-1' && calls > 0)
    expect(arrived.map(({ to, method }) => `${to} ${method}`).sort()).toEqual([
      'ai-1 analysis.analyze',
      'hub $hub.ready',
    ])
    expect(stats.peers.find(({ id }) => id === 'plugin-1')?.refused).toBeGreaterThanOrEqual(4)
  })

  it('show a file of 50 MB, for which nobody needed its size in memory', () => {
    expect(program.stdout).toMatch(/large\.txt +large +1\d,\d{3},\d{3} /)
    expect(program.stdout).toMatch(/large\.txt: structure and language of the first 2\.0 of 50\.0 million/m)
    for (const [id, pid] of pids)
      expect([id, peakMemory(pid)]).toEqual([id, expect.toSatisfy((mib) => mib < 300)])
  })

  it('let the command line call what the manifest allows it, and no more', async () => {
    const cli = await join({ app: 'test', id: 'cli', base: place })
    const recent = await cli.call('history.recent', { limit: 2 }, { target: { type: 'worker' } })
    expect(recent).toHaveLength(2)
    const denied = cli.call('pages.parse', { path: '/' }, { target: { type: 'renderer' } })
    await expect(denied).rejects.toSatisfy(
      (error) => isViaductError(error) && error.code === 'PERMISSION_DENIED',
    )
    cli.close()
  })

  it('end with commands that look around', async () => {
    const commands = [...program.stderr.matchAll(/^ {2}npx viaduct (.*)$/gm)].map(([, words = '']) =>
      words.split(' '),
    )
    expect(commands.map(([verb]) => verb)).toEqual(['who', 'tap', 'call'])
    for (const words of commands.filter(([verb]) => verb !== 'tap')) {
      const args = [`${DIST}node/cli.js`, ...words]
      const { stdout } = await promisify(execFile)(process.execPath, args, {
        env: { ...process.env, TMPDIR: place, XDG_RUNTIME_DIR: '' },
      })
      expect(stdout).toMatch(words[0] === 'who' ? /renderer-2 +renderer +untrusted/ : /"elapsedMs"/)
    }
  })

  it('come from one reader at a time: a second one says what to do', async () => {
    const second = new Program(labelled.slice(0, 1), place)
    expect(await second.ended).toBe(1)
    expect(second.stderr).toMatch(/a hub of app test runs already.*\n.*npm start -- --app reader-2/)
    expect([...pids.values()].every(isRunning)).toBe(true)
  })

  it('and leave no process and no file at Ctrl-C', async () => {
    program.process.kill('SIGINT')
    expect(await program.ended).toBe(130)
    expect(program.stderr).toMatch(/stopped by SIGINT/)
    await expectNothingLeft(pids.values(), place)
  })
})

describe('an early end', () => {
  it('by SIGTERM in the middle of the work leaves nothing behind', async () => {
    const place = await temporary()
    const program = new Program([await large(), ...labelled], place)
    const pids = await program.pids()
    program.process.kill('SIGTERM')
    expect(await program.ended).toBe(143)
    expect(program.stdout).toBe('')
    await expectNothingLeft(pids.values(), place)
  })

  it('before anything has started leaves nothing behind either', async () => {
    const place = await temporary()
    const program = new Program(labelled, place)
    // Node has read nothing yet: a signal now ends it as it would any program.
    await once(program.process, 'spawn')
    program.process.kill('SIGINT')
    expect(['SIGINT', 130]).toContain(await program.ended)
    await expectNothingLeft([], place)
  })

  it('by kill -9 of the main process ends all others, and no file stays', async () => {
    const place = await temporary()
    const program = new Program([await large(), ...labelled], place)
    const pids = await program.pids()
    program.process.kill('SIGKILL')
    expect(await program.ended).toBe('SIGKILL')
    await expectNothingLeft(pids.values(), place)
  })

  it('of the hub, by kill -9, is told and ends all others', async () => {
    const place = await temporary()
    const program = new Program(['--stay', ...labelled], place)
    const pids = await program.pids()
    process.kill(pids.get('hub') ?? 0, 'SIGKILL')
    expect(await program.ended).toBe(1)
    expect(program.stderr).toMatch(/the hub has gone/)
    await expectEnded(pids.values())
  })

  it('of a child, by kill -9, ends nothing: it is started again', async () => {
    const place = await temporary()
    const program = new Program(['--json', ...labelled], place)
    const pids = await program.pids()
    process.kill(pids.get('ai-1') ?? 0, 'SIGKILL')
    expect(await program.ended).toBe(0)
    expect(program.rows.every(({ ok }) => ok)).toBe(true)
    expect(program.stderr).toMatch(/1 restart: ai-1/)
    await expectNothingLeft(pids.values(), place)
  })
})

describe('the exit code', () => {
  it('is 1 when no file could be read, with a reason for each', async () => {
    const program = new Program(['--json', ...(await bad())], await temporary())
    expect(await program.ended).toBe(1)
    expect(program.rows.map(({ ok }) => ok)).toEqual([false, false, false])
  })

  it('is 2 for wrong use, and nothing is started', async () => {
    const place = await temporary()
    for (const args of [['--cahos'], ['--seed', 'x'], ['--app', 'No Name']]) {
      const program = new Program(args, place)
      expect([args, await program.ended]).toEqual([args, 2])
      expect(program.stderr).toMatch(/--cahos|--seed|"No Name"/)
    }
    expect(await readdir(place)).toEqual([])
  })

  it('is 0 for --help', async () => {
    const program = new Program(['--help'], await temporary())
    expect(await program.ended).toBe(0)
    expect(program.stdout).toMatch(/npm start -- .*FILE/)
  })
})
