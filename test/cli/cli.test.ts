import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { VERBS, verbHelp } from '../../src/cli/help.ts'
import { type Desk, openDesk } from './hub.ts'
import { Program } from './program.ts'

const APP = 'desk'
let program: Program
let desk: Desk
beforeAll(async () => {
  program = new Program()
  desk = await openDesk(APP)
})
afterAll(async () => {
  await desk.close()
  program.remove()
})

const run: Program['run'] = (args, options) => program.run(args, options)
const errorOf = (stderr: string) => JSON.parse(stderr).error
/** Bytes that a terminal obeys; a newline is the program's own. */
const obeyed = /[^\P{C}\n]/u

describe('who', () => {
  it('lists the peers, as a table and as JSON', async () => {
    const [text, json] = await Promise.all([run('who'), run('who --json')])
    expect(text).toMatchObject({ code: 0, stderr: '' })
    expect(text.stdout).toMatch(/^ID +TYPE +ZONE +PID +STATE/)
    expect(text.stdout).toMatch(/^ai-1 +ai +semi +\d+ +ready/m)
    expect(text.stdout).toMatch(/^main +main +trusted +- +ready/m)
    expect(json.code).toBe(0)
    expect(json.stdout.split('\n')).toHaveLength(2)
    const ids = JSON.parse(json.stdout).map(({ id }: { id: string }) => id)
    expect(ids).toEqual(expect.arrayContaining(['hub', 'main', 'ai-1', 'odd']))
  })

  it('writes no name as it is that a terminal would obey', async () => {
    const outcomes = await Promise.all([
      run('who'),
      run('who --json'),
      run('describe'),
      run('describe odd --json'),
      run(['call', 'odd\u001b[2J', 'x\u202e']),
      run(['call', 'odd', 'x', '--app', 'de\u001b[2Jsk']),
    ])
    for (const { stdout, stderr } of outcomes) expect(stdout + stderr).not.toMatch(obeyed)
    expect(outcomes[0]?.stdout).toContain('evil\\u001b[2J\\u202etxt\\u009b31m')
    expect(outcomes[2]?.stdout).toContain('pages.\\u001b]0;owned\\u0007\\u000aforged line')
    expect(JSON.parse(outcomes[3]?.stdout ?? '')[0].methods[0].name).toBe(
      'pages.\u001b]0;owned\u0007\nforged line',
    )
  })
})

describe('ping', () => {
  it('measures the way to the hub, and on to a peer', async () => {
    const [hub, peer, json] = await Promise.all([
      run('ping'),
      run('ping ai-1 --count 2'),
      run('ping ai-1 --json'),
    ])
    expect(hub).toMatchObject({ code: 0, stderr: '' })
    expect(hub.stdout).toMatch(/^hub of desk: 5 pings, fastest [\d.]+ m?s, median .*\n$/)
    expect(peer.stdout).toMatch(/^hub of desk: 2 pings.*\nhub to ai-1: 2 pings.*\n$/)
    expect(JSON.parse(json.stdout)).toMatchObject({
      app: APP,
      hub: { count: 5 },
      peer: { id: 'ai-1', count: 5 },
    })
  })

  it('tells a peer that hangs from one that is not there', async () => {
    desk.ai.core.link.pause()
    const hung = await run('ping ai-1 --timeout 100ms')
    desk.ai.core.link.resume()
    expect(hung.code).toBe(1)
    expect(hung.stderr).toContain('ai-1 is connected and did not answer within 100 ms')
    const gone = await run('ping ai1')
    expect(gone.code).toBe(1)
    expect(gone.stderr).toContain('did you mean ai-1?')
    expect((await run('ping ai-1')).code).toBe(0)
  })
})

describe('describe', () => {
  it('shows methods, fingerprints and what may be called', async () => {
    const [text, json, type] = await Promise.all([
      run('describe ai-1'),
      run('describe ai-1 --json'),
      run('describe type:ai'),
    ])
    expect(text).toMatchObject({ code: 0, stderr: '' })
    expect(text.stdout).toMatch(/^ {2}pages\.analyze +call +[0-9a-f]{16} +yes$/m)
    expect(text.stdout).toMatch(/^ {2}pages\.lines +stream +[0-9a-f]{16} +yes$/m)
    expect(text.stdout).toMatch(/^ {2}pages\.secret +call +[0-9a-f]{16} +no: PERMISSION_DENIED$/m)
    expect(type.stdout).toBe(text.stdout)
    const [described] = JSON.parse(json.stdout)
    expect(described).toMatchObject({ id: 'ai-1', type: 'ai' })
    expect(described.methods).toContainEqual({
      name: 'pages.secret',
      kind: 'call',
      fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
      status: 'PERMISSION_DENIED',
    })
  })

  it('says which peers there are when the one that was asked for is not', async () => {
    const [unknown, type] = await Promise.all([run('describe ai-2'), run('describe ai --json')])
    expect(unknown.code).toBe(1)
    expect(unknown.stderr).toContain('no peer has the id ai-2\n  next: did you mean ai-1?')
    expect(unknown.stdout).toBe('')
    expect(errorOf(type.stderr)).toMatchObject({
      exit: 1,
      next: ['ai is a type: use type:ai', 'viaduct who'],
    })
  })
})

describe('call', () => {
  it('prints an answer, with what JSON lacks in its form', async () => {
    const [text, json] = await Promise.all([
      run('call ai-1 pages.analyze n=5'),
      run(['call', 'type:ai', 'pages.analyze', '-d', '{"n":5}', '--json']),
    ])
    const answer = {
      n: 5,
      big: '12',
      when: '1970-01-01T00:00:00.000Z',
      tags: { a: 1 },
      some: [1],
      data: { type: 'Uint8Array', bytes: 2, base64: 'AQI=' },
    }
    expect(text).toEqual({ code: 0, stdout: `${JSON.stringify(answer, undefined, 2)}\n`, stderr: '' })
    expect(json).toEqual({ code: 0, stdout: `${JSON.stringify(answer)}\n`, stderr: '' })
  })

  it('takes its input from a flag, a file, stdin and words', async () => {
    writeFileSync(join(program.cwd, 'input.json'), '\ufeff{ "from": "file" }')
    const echo = ['call', 'ai-1', 'pages.echo', '--json']
    const outcomes = await Promise.all([
      run([...echo, '-d', '[1, null, "x"]']),
      run([...echo, '-d', '@input.json', 'n=3']),
      run([...echo, '-d', '-'], { input: '{"from": "stdin"}' }),
      run([...echo, 'n=3', 'text=a=b', 'id="3"', 'yes=true', 'list=[1]', 'empty=', '__proto__=1']),
      run(echo),
    ])
    expect(outcomes.map(({ stdout }) => stdout)).toEqual([
      '[1,null,"x"]\n',
      '{"from":"file","n":3}\n',
      '{"from":"stdin"}\n',
      '{"n":3,"text":"a=b","id":"3","yes":true,"list":[1],"empty":"","__proto__":1}\n',
      'null\n',
    ])
  })

  it('prints text as lines, safe unless it is wanted raw', async () => {
    const words = ['call', 'ai-1', 'pages.echo', '-d', '"a\\u001b[2Jb\\nc"']
    const [safe, raw, json] = await Promise.all([
      run(words),
      run([...words, '--raw']),
      run([...words, '--json']),
    ])
    expect(safe.stdout).toBe('a\\u001b[2Jb\nc\n')
    expect(raw.stdout).toBe('a\u001b[2Jb\nc')
    expect(json.stdout).toBe('"a\\u001b[2Jb\\nc"\n')
  })

  it('prints the items of a stream, and what it returned as a note', async () => {
    const [json, text, empty] = await Promise.all([
      run('call ai-1 pages.lines count=3 --json'),
      run('call ai-1 pages.lines count=2'),
      run('call ai-1 pages.lines count=0 --stream'),
    ])
    expect(json).toEqual({
      code: 0,
      stdout: '{"number":0}\n{"number":1}\n{"number":2}\n',
      stderr: '{"note":"the stream returned 3"}\n',
    })
    expect(text.stdout).toBe('{"number":0}\n{"number":1}\n')
    expect(empty).toEqual({ code: 0, stdout: '', stderr: 'the stream returned 0\n' })
  })

  it('ends with 64 and the number of the code', async () => {
    const cases: [args: string, code: number, reason: string][] = [
      ['call ai-1 pages.fail how=badly', 66, 'HANDLER_ERROR'],
      ['call ai-1 pages.analyze n=x', 67, 'INVALID_INPUT'],
      ['call ai-1 pages.never --timeout 50ms', 68, 'DEADLINE_EXCEEDED'],
      ['call ai-1 pages.secret', 71, 'PERMISSION_DENIED'],
      ['call ai-1 pages.nothing', 76, 'METHOD_NOT_FOUND'],
      ['call ai-2 pages.analyze n=1', 78, 'TARGET_UNAVAILABLE'],
    ]
    await Promise.all(
      cases.map(async ([args, code, reason]) => {
        const asJson = code % 2 === 0
        const { stderr, ...outcome } = await run(asJson ? `${args} --json` : args)
        expect({ args, ...outcome }).toEqual({ args, code, stdout: '' })
        if (asJson) {
          expect(errorOf(stderr)).toMatchObject({ reason, exit: code })
        } else {
          expect(stderr).toMatch(new RegExp(`^error ${reason}: `))
          expect(stderr).toContain(`next: viaduct explain ${reason}`)
        }
      }),
    )
  })

  it('shows a declared error’s data and the path of a fault', async () => {
    const [declared, input, broken] = await Promise.all([
      run('call ai-1 pages.analyze n=101'),
      run('call ai-1 pages.analyze n=x --json'),
      run('call ai-1 pages.broken'),
    ])
    expect(declared.stderr).toMatch(/^error TooLong: /)
    expect(declared.stderr).toContain('  data: {"max":100}')
    expect(errorOf(input.stderr)).toMatchObject({ code: 'INVALID_ARGUMENT', path: 'input.n' })
    expect(broken).toMatchObject({ code: 66, stdout: '1\n2\n' })
    expect(broken.stderr).toContain('the disk is gone')
    expect(broken.stderr).toContain('the stream failed after 2 items')
  })

  it('says what is nearest, and which rule is missing', async () => {
    const [method, peer, type, denied] = await Promise.all([
      run('call ai-1 pages.analyse'),
      run('call ai1 pages.analyze'),
      run('call type:ia pages.analyze'),
      run('call ai-1 pages.secret'),
    ])
    expect(method.stderr).toContain('did you mean pages.analyze?')
    expect(method.stderr).toContain('viaduct describe ai-1')
    expect(peer.stderr).toContain('did you mean ai-1?')
    expect(type.stderr).toContain('did you mean type:ai?')
    expect(denied.stderr).toContain("cli: { call: [{ method: 'pages.secret', to: 'ai-1' }] }")
  })

  it('points at the place where JSON goes wrong', async () => {
    writeFileSync(join(program.cwd, 'bad.json'), '{\n  "a": 1,\n  b: 2\n}')
    const call = ['call', 'ai-1', 'pages.echo', '-d']
    const [flag, file, short, missing, word, added] = await Promise.all([
      run([...call, '{"n": }']),
      run([...call, '@bad.json', '--json']),
      run([...call, '[1, 2']),
      run([...call, '@nowhere.json']),
      run('call ai-1 pages.echo word'),
      run([...call, '[1]', 'a=1']),
    ])
    for (const { code, stdout } of [flag, file, short, missing, word, added]) {
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    }
    expect(flag.stderr).toContain(
      '-d is no JSON: line 1, column 7: found "}", expected a value\n    {"n": }\n          ^',
    )
    expect(errorOf(file.stderr).message).toContain('bad.json is no JSON: line 3, column 3: found "b"')
    expect(short.stderr).toContain('line 1, column 6: the text ends, expected , or ]')
    expect(missing.stderr).toContain('ENOENT')
    expect(word.stderr).toContain('"word" is no key=value')
    expect(added.stderr).toContain('only be added to an object')
  })

  it('cancels the handler when it is interrupted', async () => {
    const started = program.start(['call', 'ai-1', 'pages.endless'])
    expect(await started.line()).toBe('first')
    started.process.kill('SIGINT')
    expect(await started.end()).toEqual({ code: 130, stdout: 'first\n', stderr: '' })
    await desk.stopped()
  })

  it('ends quietly when its reader has seen enough', async () => {
    const shell = `("${process.execPath}" "${program.path}" call ai-1 pages.lines count=200000; echo "code $?" >&2) | head -n 2`
    const { execFile } = await import('node:child_process')
    const outcome = await new Promise<{ stdout: string; stderr: string }>((resolve) => {
      execFile('sh', ['-c', shell], { cwd: program.cwd }, (_, stdout, stderr) => resolve({ stdout, stderr }))
    })
    expect(outcome).toEqual({ stdout: '{"number":0}\n{"number":1}\n', stderr: 'code 0\n' })
  })
})

describe('finding the hub', () => {
  it('takes the flag, then VIADUCT_CONTEXT, then a package.json above', async () => {
    const deep = join(program.folder, 'project', 'a', 'b')
    mkdirSync(deep, { recursive: true })
    writeFileSync(join(program.folder, 'project', 'package.json'), '{ "viaduct": { "app": "elsewhere" } }')
    writeFileSync(join(deep, 'package.json'), '{ not json')
    const [above, context, flag] = await Promise.all([
      run('who', { cwd: deep }),
      run('ping', { cwd: deep, env: { VIADUCT_CONTEXT: APP } }),
      run('ping --app desk', { cwd: deep, env: { VIADUCT_CONTEXT: 'elsewhere' } }),
    ])
    expect(above.code).toBe(1)
    expect(above.stderr).toMatch(/^error HUB_NOT_RUNNING: no hub of app elsewhere runs here/)
    expect(above.stderr).toContain(`comes from ${join(program.folder, 'project', 'package.json')}`)
    expect(above.stderr).toContain('running now: desk')
    expect(context.code).toBe(0)
    expect(flag.code).toBe(0)
  })

  it('names the hubs that run when there are several, and says so when there is none', async () => {
    const other = await openDesk('other')
    const several = await run('who')
    await other.close()
    expect(several.code).toBe(2)
    expect(several.stderr).toContain('2 hubs are running: desk, other\n  next: viaduct --app desk')
    const empty = join(program.folder, 'empty')
    mkdirSync(empty, { mode: 0o700 })
    const none = await run('who --json', { env: { XDG_RUNTIME_DIR: empty } })
    expect(none).toMatchObject({ code: 1, stdout: '' })
    expect(errorOf(none.stderr).message).toContain('no hub is running')
  })

  it('ends with 4 when its key is missing or wrong', async () => {
    const locked = await openDesk('locked')
    const key = join(program.folder, 'run', 'viaduct', 'locked', 'credentials', 'cli')
    const good = readFileSync(key)
    writeFileSync(key, new Uint8Array(32), { mode: 0o600 })
    const wrong = await run('who --app locked')
    rmSync(key)
    const missing = await run('who --app locked --json')
    writeFileSync(key, good, { mode: 0o600 })
    expect((await run('who --app locked')).code).toBe(0)
    await locked.close()
    expect(wrong.code).toBe(4)
    expect(wrong.stderr).toMatch(/^error UNAUTHENTICATED: /)
    expect(missing.code).toBe(4)
    expect(errorOf(missing.stderr)).toMatchObject({ reason: 'CREDENTIAL_MISSING', exit: 4 })
  })

  it('does not wait for ever for a hub that hangs', async () => {
    const { createServer } = await import('node:net')
    const { openRuntimeFolder, hubAddress } = await import('../../src/host/runtimeFolder.ts')
    const { writeCredential } = await import('../../src/host/credentials.ts')
    const folder = openRuntimeFolder('hung')
    writeCredential(folder, 'cli')
    const server = createServer(() => {})
    await new Promise<void>((resolve) => server.listen(hubAddress(folder), resolve))
    const outcome = await run('who --app hung --timeout 100ms')
    server.close()
    rmSync(folder.path, { recursive: true })
    expect(outcome.code).toBe(1)
    expect(outcome.stderr).toContain('the hub of hung did not answer within 1000 ms')
  })
})

describe('usage', () => {
  it('ends with 2, says what is wrong and where to read', async () => {
    const cases: [args: string, said: string][] = [
      ['', 'a verb is missing'],
      ['whoo', 'did you mean who?'],
      ['who there', '"there" is one word too many'],
      ['who --peer x', 'who has no option --peer'],
      ['who --nonsense', "Unknown option '--nonsense'"],
      ['call ai-1', 'call needs a peer and a method'],
      ['who --timeout 5', 'write it as 500ms, 2s or 1m'],
      ['ping --count 0', '--count'],
      ['who --app NO', 'is no app name'],
    ]
    await Promise.all(
      cases.map(async ([args, said]) => {
        const { code, stdout, stderr } = await run(args)
        expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
        expect(stderr).toContain(said)
      }),
    )
    const json = await run('whoo --json')
    expect(errorOf(json.stderr)).toMatchObject({ exit: 2, message: '"whoo" is no verb' })
  })

  it('prints help, that of each verb, and its version', async () => {
    const verbs = ['who', 'ping', 'describe', 'call', 'tap', 'mailbox', 'explain']
    const general = await Promise.all([run('--help'), run('help')])
    for (const outcome of general) {
      expect(outcome).toEqual(general[0])
      expect(outcome).toMatchObject({ code: 0, stderr: '' })
      for (const verb of verbs) expect(outcome.stdout).toMatch(new RegExp(`^ {2}${verb} `, 'm'))
    }
    const [one, other] = await Promise.all([run('help call'), run('call --help')])
    expect(one).toEqual(other)
    for (const verb of verbs) {
      const known = VERBS[verb]
      expect(known && verbHelp(known)).toMatch(new RegExp(`^Usage: viaduct ${verb}[\\s\\S]*--timeout`))
    }
    expect(one.stdout).toBe(`${VERBS.call && verbHelp(VERBS.call)}\n`)
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    expect(await run('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' })
  })

  it('colours where that is wanted, and never with NO_COLOR', async () => {
    const [colored, plain, json] = await Promise.all([
      run('who', { env: { FORCE_COLOR: '1' } }),
      run('who', { env: { FORCE_COLOR: '1', NO_COLOR: '1' } }),
      run('who --json', { env: { FORCE_COLOR: '1' } }),
    ])
    expect(colored.stdout).toContain('\u001b[1mID')
    expect(plain.stdout).not.toContain('\u001b')
    expect(json.stdout).not.toContain('\u001b')
  })
})

describe('explain', () => {
  it('explains a code, a reason and an exit code', async () => {
    const [reason, code, exit, json, all] = await Promise.all([
      run('explain skew'),
      run('explain PERMISSION_DENIED'),
      run('explain 71'),
      run('explain SKEW --json'),
      run('explain'),
    ])
    expect(reason.stdout).toMatch(/^SKEW {2}reason of code FAILED_PRECONDITION; .* exit code 73/)
    expect(reason.stdout).toContain('What to do:')
    expect(exit.stdout).toBe(code.stdout)
    expect(JSON.parse(json.stdout)).toMatchObject({ name: 'SKEW', code: 'FAILED_PRECONDITION', exit: 73 })
    expect(all.stdout).toMatch(/^REPLACED +close +UNAVAILABLE +78$/m)
    const unknown = await run('explain SKEWED')
    expect(unknown.code).toBe(1)
    expect(unknown.stderr).toContain('did you mean SKEW?')
  })
})
