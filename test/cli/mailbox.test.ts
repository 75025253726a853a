import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { processName } from '../../src/host/processName.ts'
import { pages } from '../docs/pages.ts'
import { Program, Started } from './program.ts'

let program: Program
let root: string
beforeAll(() => {
  program = new Program()
  root = join(program.cwd, 'data', 'ipc')
})
afterAll(() => program.remove())
beforeEach(() => rmSync(root, { recursive: true, force: true }))

const run: Program['run'] = (args, options) => program.run(args, options)
const errorOf = (stderr: string) => JSON.parse(stderr.trim().split('\n').at(-1) ?? '').error
/** Bytes that a terminal obeys; a newline is the program's own. */
const obeyed = /[^\P{C}\n]/u
const HOSTILE = 'evil\u001b[2J\u202etxt\u009b31m'
const DAY_MS = 86_400_000

function box(group: string): string {
  const folder = join(root, group)
  for (const part of ['messages', 'acks', 'errors', '.journal'])
    mkdirSync(join(folder, part), { recursive: true })
  writeFileSync(join(folder, '.journal', 'store'), '{"store":"folder","version":1}')
  return folder
}

/** A dead letter as a receiver leaves it. */
function bury(group: string, id: string, failedAtMs: number, error: object, more: object = {}): void {
  const letter = {
    ...{ id, type: 'task', groupFolder: group, payload: { page: id }, timestamp: '2026-01-01T00:00:00.000Z' },
    ...more,
    error: { reason: 'HANDLER_ERROR', message: 'no such page', attempts: 4, ...error },
  }
  writeFileSync(join(root, group, 'errors', `${failedAtMs}-${id}.json`), JSON.stringify(letter))
}

const left = (group: string): string[] => readdirSync(join(root, group, 'errors'))

describe('mailbox list', () => {
  it('tells store, what waits, what is dead and who receives', async () => {
    const main = box('main')
    writeFileSync(join(main, 'messages', 'a.json'), '{}')
    writeFileSync(join(main, 'messages', 'b.json'), '{}')
    bury('main', 'm-1', 1, {})
    const lock = join(main, '.journal', 'receiver.lock')
    mkdirSync(lock)
    writeFileSync(join(lock, processName('r1')), '')
    const dead = join(box('dead-receiver'), '.journal', 'receiver.lock')
    mkdirSync(dead)
    const name = processName('r1').split('-')
    name[3] = String(Number(name[3]) + 1)
    writeFileSync(join(dead, name.join('-')), '')
    mkdirSync(join(root, 'seed', 'messages'), { recursive: true })
    mkdirSync(join(root, 'No mailbox', 'messages'), { recursive: true })
    mkdirSync(join(root, 'other'))
    const [text, json, elsewhere, show] = await Promise.all([
      run('mailbox list'),
      run('mailbox list --json'),
      run(['mailbox', 'list', root], { cwd: '/' }),
      run('mailbox show main'),
    ])
    expect(text).toMatchObject({ code: 0, stderr: '' })
    expect(text.stdout).toMatch(/^MAILBOX +STORE +READY +DEAD +RECEIVER\n/)
    expect(text.stdout).toMatch(new RegExp(`^main +folder +2 +1 +pid ${process.pid}$`, 'm'))
    expect(elsewhere.stdout).toBe(text.stdout)
    expect(show.stdout).toMatch(/^main +folder +2 +1 .*\n\nID .*\nm-1 +task +HANDLER_ERROR/m)
    expect(
      json.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      {
        ...{ group: 'dead-receiver', store: 'folder', ready: 0, about: false, dead: 0 },
        receiver: { pid: process.pid, running: false },
      },
      {
        group: 'main',
        store: 'folder',
        ready: 2,
        about: false,
        dead: 1,
        receiver: { pid: process.pid, running: true },
      },
      { group: 'seed', store: 'folder', ready: 0, about: false, dead: 0 },
    ])
    expect(readdirSync(join(root, 'seed')), 'looking changes nothing').toEqual(['messages'])
  })

  it('says where it looked when there is nothing', async () => {
    const none = await run('mailbox list')
    expect(none).toMatchObject({ code: 1, stdout: '' })
    expect(none.stderr).toContain('there is no folder data/ipc\n  next: name the folder of the mailboxes')
    box('main')
    const [typo, wrong] = await Promise.all([run('mailbox show mian --json'), run('mailbox show ../main')])
    expect(errorOf(typo.stderr)).toMatchObject({
      ...{ message: 'there is no mailbox mian in data/ipc', exit: 1 },
      next: ['did you mean main?', 'viaduct mailbox list data/ipc'],
    })
    expect(wrong).toMatchObject({ code: 2, stdout: '' })
    expect(wrong.stderr).toContain('"../main" is no name of a mailbox')
  })
})

describe('mailbox dead', () => {
  it('lists the newest first, by reason, up to a limit, in both forms', async () => {
    box('main')
    for (let n = 0; n < 5; n++) bury('main', `m-${n}`, 1000 + n, n % 2 ? { reason: 'EXPIRED' } : {})
    const [all, expired, some, none] = await Promise.all([
      run('mailbox dead main'),
      run('mailbox dead main --reason expired --json'),
      run('mailbox dead main --limit 2'),
      run('mailbox dead main --reason TOO_LARGE --json'),
    ])
    const ids = (stdout: string): (string | undefined)[] => stdout.match(/m-\d/g) ?? []
    expect(ids(all.stdout)).toEqual(['m-4', 'm-3', 'm-2', 'm-1', 'm-0'])
    expect(all.stdout).toMatch(/^m-4 +task +HANDLER_ERROR +4 +0 +1970-01-01T00:00:01\.004Z +no such page$/m)
    expect(all.stderr).toBe('')
    expect(
      expired.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).id),
    ).toEqual(['m-3', 'm-1'])
    expect(ids(some.stdout)).toEqual(['m-4', 'm-3'])
    expect(some.stderr).toBe('of 5 dead letters the newest 2; --limit N shows more\n')
    expect(none).toEqual({
      code: 0,
      stdout: '',
      stderr: '{"note":"main has no dead letter of that reason"}\n',
    })
  })

  it('writes nothing as it is that a terminal would obey', async () => {
    box('main')
    const error = { message: `${HOSTILE}\nforged line`, stack: HOSTILE, reason: HOSTILE }
    bury('main', 'm-1', 1, error, { type: HOSTILE, payload: { [HOSTILE]: HOSTILE }, sender: HOSTILE })
    writeFileSync(
      join(root, 'main', 'errors', '2-raw.json'),
      JSON.stringify({ id: 'raw', raw: HOSTILE, place: HOSTILE, error }),
    )
    const outcomes = await Promise.all([
      run('mailbox dead main'),
      run('mailbox dead main --json'),
      run('mailbox show main m-1'),
      run('mailbox show main m-1 --json'),
      run('mailbox show main raw'),
      run('mailbox purge main --all'),
      run(['mailbox', 'show', HOSTILE]),
      run(['mailbox', 'list', HOSTILE]),
      run(['mailbox', 'show', 'main', HOSTILE]),
    ])
    for (const { stdout, stderr } of outcomes) expect(stdout + stderr).not.toMatch(obeyed)
    expect(outcomes[0]?.stdout).toContain('evil\\u001b[2J\\u202etxt\\u009b31m')
    expect(JSON.parse(outcomes[3]?.stdout ?? '').message.payload).toEqual({ [HOSTILE]: HOSTILE })
    expect(outcomes[4]?.stdout).toContain('evil\\u001b[2J')
  })
})

describe('mailbox show', () => {
  it('shows a letter with its error, its starts and its payload', async () => {
    box('main')
    bury(
      'main',
      'm-1',
      Date.UTC(2026, 0, 2),
      { stack: 'Error: x\n  at handler' },
      { redriven: 2, sender: 'a', sequence: 9 },
    )
    const [text, json, gone] = await Promise.all([
      run('mailbox show main m-1'),
      run('mailbox show main m-1 --json'),
      run('mailbox show main m-2'),
    ])
    expect(text.stdout).toBe(
      [
        'id        m-1',
        'file      1767312000000-m-1.json',
        'type      task',
        'sent      2026-01-01T00:00:00.000Z by a, its message 9',
        'died      2026-01-02T00:00:00.000Z after 4 starts',
        'redriven  2 times before',
        'reason    HANDLER_ERROR',
        'error     no such page',
        'stack     Error: x',
        '            at handler',
        'payload',
        '{',
        '  "page": "m-1"',
        '}',
        '',
      ].join('\n'),
    )
    expect(JSON.parse(json.stdout)).toMatchObject({
      ...{ id: 'm-1', attempts: 4, error: { reason: 'HANDLER_ERROR' }, failedAt: '2026-01-02T00:00:00.000Z' },
      message: { type: 'task', redriven: 2, sequence: 9, format: 'json', payload: { page: 'm-1' } },
    })
    expect(gone).toMatchObject({ code: 1, stdout: '' })
    expect(gone.stderr).toMatch(/^error LETTER_UNKNOWN: .*"m-2"\n {2}next: viaduct mailbox dead main/)
  })
})

describe('mailbox purge', () => {
  it('removes by id, by age, by reason, and everything only when it is sure', async () => {
    box('main')
    const now = Date.now()
    bury('main', 'old', now - 8 * DAY_MS, {})
    bury('main', 'torn', now - 2 * DAY_MS, { reason: 'MALFORMED' })
    bury('main', 'new', now, {})
    bury('main', 'newer', now + 1, {})
    const unsure = await run('mailbox purge main --all')
    expect(unsure).toMatchObject({ code: 2, stdout: '' })
    expect(unsure.stderr).toContain('this removes 4 dead letters for good: HANDLER_ERROR 3, MALFORMED 1')
    const dry = await run('mailbox purge main --older-than 7d --dry-run')
    expect(dry).toEqual({ code: 0, stdout: '1 dead letter would be removed: HANDLER_ERROR 1\n', stderr: '' })
    expect(left('main')).toHaveLength(4)
    const old = await run('mailbox purge main --older-than 7d --yes --json')
    expect(JSON.parse(old.stdout)).toMatchObject({ dryRun: false, matched: 1, done: 1, failed: 0 })
    expect(await run('mailbox purge main --reason malformed --yes')).toMatchObject({
      code: 0,
      stdout: '1 dead letter removed: MALFORMED 1\n',
    })
    const some = await run('mailbox purge main new nowhere')
    expect(some).toMatchObject({ code: 1, stdout: '1 dead letter removed: HANDLER_ERROR 1\n' })
    expect(some.stderr).toContain('nowhere  LETTER_UNKNOWN  there is no dead letter of the id "nowhere"')
    expect(left('main')).toEqual([`${now + 1}-newer.json`])
  })
})

/** A process that receives from `main`, a line for each start; what says `fail` fails unless it is redriven. */
const RECEIVER = `
import { Mailbox } from './src/mailbox/index.ts'
const mailbox = await Mailbox.open({ root: process.argv[2], group: 'main', store: process.argv[3] })
const receiver = await mailbox.receive(({ id, type, payload, redriven = 0 }) => {
  console.log(JSON.stringify({ id, type, payload, redriven }))
  if (payload?.fail && redriven === 0) throw Object.assign(new Error('no such page'), { recoverable: false })
})
await receiver.ready
console.log('ready')
process.stdin.resume().on('end', () => mailbox.close())
`

describe('with a receiver', () => {
  let path: string
  beforeAll(() => {
    path = join(program.folder, 'receiver.mjs')
    const resolveDir = fileURLToPath(new URL('../..', import.meta.url))
    const stdin = { contents: RECEIVER, resolveDir, loader: 'ts' } as const
    buildSync({ stdin, outfile: path, bundle: true, platform: 'node', format: 'esm', logLevel: 'error' })
  })
  async function receiver(store = 'log'): Promise<Started> {
    const started = new Started(path, [root, store], { cwd: program.cwd })
    expect(await started.line()).toBe('ready')
    return started
  }
  async function ended(started: Started): Promise<void> {
    started.process.stdin.end()
    expect(await started.end()).toMatchObject({ code: 0, stderr: '' })
  }

  it('sends, waits for the acknowledgement, and redrives what died', async () => {
    const other = await receiver()
    writeFileSync(join(program.cwd, 'task.json'), '{ "from": "file" }')
    const sent = await run('mailbox send main task -d @task.json n=3 --ack')
    expect(sent).toMatchObject({ code: 0, stderr: 'acknowledged: its receiver is done with it\n' })
    const id = sent.stdout.trim()
    expect(JSON.parse(await other.line())).toEqual({
      ...{ id, type: 'task', payload: { from: 'file', n: 3 }, redriven: 0 },
    })
    const bad = JSON.parse((await run('mailbox send main task fail=true --json')).stdout).id
    expect(JSON.parse(await other.line())).toMatchObject({ id: bad, redriven: 0 })
    await expect.poll(() => left('main')).toHaveLength(1)
    const [list, show, dry] = await Promise.all([
      run('mailbox list --json'),
      run(['mailbox', 'show', 'main', bad, '--json']),
      run('mailbox redrive main --reason handler-error --dry-run'),
    ])
    const by = { pid: other.process.pid, running: true }
    expect(JSON.parse(list.stdout)).toMatchObject({ group: 'main', store: 'log', dead: 1, receiver: by })
    expect(JSON.parse(show.stdout)).toMatchObject({
      ...{ id: bad, attempts: 1, error: { reason: 'HANDLER_ERROR', message: 'no such page' } },
      message: { payload: { fail: true } },
    })
    expect(dry).toEqual({ code: 0, stdout: '1 dead letter would be redriven: HANDLER_ERROR 1\n', stderr: '' })
    expect(left('main')).toHaveLength(1)
    writeFileSync(
      join(root, 'main', 'errors', '5-torn.json'),
      '{"id":"torn","raw":"{","error":{"reason":"MALFORMED"}}',
    )
    const redriven = await run('mailbox redrive main --all')
    expect(redriven).toMatchObject({ code: 1, stdout: '1 dead letter redriven: HANDLER_ERROR 1\n' })
    expect(redriven.stderr).toContain('torn  MALFORMED  it cannot be redriven')
    expect(JSON.parse(await other.line())).toEqual({
      id: bad,
      type: 'task',
      payload: { fail: true },
      redriven: 1,
    })
    expect(left('main')).toEqual(['5-torn.json'])
    await ended(other)
  })

  it('takes what a script drops as the guide says', async () => {
    const other = await receiver('folder')
    const script = pages
      .find((page) => page.path === 'docs/guides/mailbox.md')
      ?.fences.find(({ language, code }) => language === 'sh' && code.includes('mv '))
    execFileSync('sh', ['-euc', script?.code ?? 'false'], { cwd: program.cwd })
    expect(JSON.parse(await other.line())).toMatchObject({ type: 'task', payload: { page: 'a.html' } })
    const [state] = (await run('mailbox list --json')).stdout.split('\n')
    expect(JSON.parse(state ?? '')).toMatchObject({ store: 'folder', dead: 0 })
    const bad = (await run('mailbox send main task fail=true')).stdout.trim()
    expect(JSON.parse(await other.line())).toMatchObject({ id: bad, redriven: 0 })
    await expect.poll(() => left('main')).toHaveLength(1)
    expect(await run(['mailbox', 'redrive', 'main', bad])).toMatchObject({ code: 0, stderr: '' })
    expect(JSON.parse(await other.line())).toMatchObject({ id: bad, redriven: 1 })
    // By hand, as one always could.
    const moved = (await run('mailbox send main task fail=true')).stdout.trim()
    expect(JSON.parse(await other.line())).toMatchObject({ id: moved, redriven: 0 })
    await expect.poll(() => left('main')).toHaveLength(1)
    const main = join(root, 'main')
    renameSync(join(main, 'errors', left('main')[0] ?? ''), join(main, 'messages', `${moved}.json`))
    expect(JSON.parse(await other.line())).toMatchObject({ id: moved, redriven: 1 })
    await expect.poll(() => readdirSync(join(main, 'messages'))).toEqual([])
    expect(left('main')).toEqual([])
    await ended(other)
  })

  it('keeps what nobody received, and tells so', async () => {
    const unheard = await run('mailbox send main task n=1 --ack --timeout 100ms --store log')
    expect(unheard.code).toBe(68)
    const id = unheard.stdout.trim()
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expect(unheard.stderr).toMatch(/^error ACK_TIMEOUT: /)
    expect(unheard.stderr).toContain('next: it is stored, and stays so until a receiver is done with it')
    expect((await run('mailbox send main task n=2 --delay 1h')).code).toBe(0)
    const list = await run('mailbox list --json')
    const state = JSON.parse(list.stdout)
    expect(state).toEqual({ group: 'main', store: 'log', ready: state.ready, about: true, dead: 0 })
    expect(state.ready).toBeGreaterThan(0)
    expect((await run('mailbox list')).stdout).toMatch(/^main +log +~\d+ +0 +none$/m)
    const mismatch = await run('mailbox send main task --store folder')
    expect(mismatch.code).toBe(1)
    expect(mismatch.stderr).toMatch(/^error STORE_MISMATCH: /)
    const other = await receiver()
    expect(JSON.parse(await other.line())).toMatchObject({ id, payload: { n: 1 } })
    await ended(other)
  })
})

describe('usage', () => {
  it('ends with 2, says what is wrong and changes nothing', async () => {
    box('main')
    bury('main', 'm-1', 1, {})
    const cases: [args: string, said: string][] = [
      ['mailbox', 'mailbox needs one of list, show'],
      ['mailbox lsit', 'did you mean list?'],
      ['mailbox dead', 'the name of a mailbox is missing'],
      ['mailbox list data/ipc more', '"more" is one word too many'],
      ['mailbox dead main more', '"more" is one word too many'],
      ['mailbox dead main --limit 0', '--limit "0"'],
      ['mailbox dead main --yes', 'mailbox dead has no option --yes'],
      ['mailbox list --app x', 'mailbox list has no option --app'],
      ['mailbox purge main', 'say which: ids, --all'],
      ['mailbox purge main m-1 --all', 'not both'],
      ['mailbox purge main --older-than 7', 'is no time'],
      ['mailbox redrive main', 'say which: ids, --all'],
      ['mailbox send main', 'send needs a mailbox and a type'],
      ['mailbox send Main task', '"Main" is no name of a mailbox'],
      ['mailbox send main task --store sql', 'log or folder'],
      ['mailbox send main task -d {', 'is no JSON'],
      ['who --root x', 'who has no option --root'],
    ]
    await Promise.all(
      cases.map(async ([args, said]) => {
        const { code, stdout, stderr } = await run(args)
        expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
        expect(stderr, args).toContain(said)
      }),
    )
    expect(left('main')).toHaveLength(1)
    const unknown = await run('mailbox send nowhere task')
    expect(unknown.code).toBe(1)
    expect(unknown.stderr).toContain('or make it: --store log, or --store folder')
    writeFileSync(join(root, 'main', '.journal', 'store'), 'folder')
    const odd = await run('mailbox show main')
    expect(odd.code).toBe(1)
    expect(odd.stderr).toContain('names no store')
    expect(readFileSync(join(root, 'main', '.journal', 'store'), 'utf8')).toBe('folder')
  })
})
