/** Programs of a test, each a process of its own, with the package as it was built. */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '../../docs/pages.ts'

export interface LogLine {
  readonly level: string
  readonly text: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** One line of a mailbox's log; undefined for any other. */
export function logLine(line: string): LogLine | undefined {
  const match = /^viaduct mailbox: \d{4}-\S+Z (debug|info|warn|error) (.*?)(?: (\{.*\}))?$/.exec(line)
  if (!match) return undefined
  const [, level = '', text = '', fields = '{}'] = match
  return { level, text, fields: JSON.parse(fields) }
}

export class Program {
  readonly child: ChildProcess
  /** Lines so far. */
  readonly out: string[] = []
  readonly err: string[] = []
  readonly ended: Promise<number | null>
  #wake = (): void => {}
  #isOver = false

  constructor(child: ChildProcess) {
    this.child = child
    this.#follow('stdout', this.out)
    this.#follow('stderr', this.err)
    this.ended = new Promise((resolve) => {
      child.once('close', (code) => {
        this.#isOver = true
        this.#wake()
        resolve(code)
      })
    })
  }

  #follow(stream: 'stdout' | 'stderr', into: string[]): void {
    let rest = ''
    this.child[stream]?.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop() ?? ''
      into.push(...lines)
      this.#wake()
    })
  }

  get log(): LogLine[] {
    return this.err.flatMap((line) => logLine(line) ?? [])
  }

  /** Resolves to what `find` finds in what was written, as soon as it is there. */
  async until<T>(find: (program: this) => T | undefined): Promise<T> {
    for (;;) {
      const found = find(this)
      if (found !== undefined) return found
      if (this.#isOver) throw new Error(`it ended before:\n${[...this.out, ...this.err].join('\n')}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  said(line: string | RegExp): Promise<string> {
    return this.until(({ out }) =>
      out.find((one) => (typeof line === 'string' ? one === line : line.test(one))),
    )
  }

  logged(text: string, matches: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    return this.until(({ log }) => log.find((one) => one.text === text && matches(one)))
  }

  tell(line: string): void {
    this.child.stdin?.write(`${line}\n`)
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!this.#isOver) this.child.kill(signal)
    await this.ended
  }
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>
  /** As another user. */
  readonly uid?: number
}

/** A place of its own: a folder below which `data/ipc` is, and programs that run there. */
export class Stage {
  /** Below the repository, so that `viaduct/mailbox` is this very package as it was built. */
  readonly #code: string
  readonly cwd: string
  readonly #programs: Program[] = []

  constructor() {
    const cache = join(ROOT, '.cache')
    mkdirSync(cache, { recursive: true })
    this.#code = mkdtempSync(join(cache, 's2-'))
    this.cwd = mkdtempSync(join(tmpdir(), 's2-'))
    // For programs of another user.
    for (const path of [this.#code, this.cwd]) chmodSync(path, 0o755)
  }

  /** A program of the package's. */
  start(code: string, options: StartOptions = {}): Program {
    const path = join(this.#code, `${this.#programs.length}.mjs`)
    writeFileSync(path, code)
    return this.run(process.execPath, [path], options)
  }

  /** Any program. */
  run(command: string, args: readonly string[], { env = {}, uid }: StartOptions = {}): Program {
    const { LOG_LEVEL: _, ...inherited } = process.env
    const child = spawn(command, args, {
      cwd: this.cwd,
      env: { ...inherited, ...env },
      ...(uid === undefined ? {} : { uid, gid: uid }),
    })
    const program = new Program(child)
    this.#programs.push(program)
    return program
  }

  path(...parts: string[]): string {
    return join(this.cwd, 'data/ipc', ...parts)
  }

  /** Names of files in a folder below `data/ipc`; none where there is no folder. */
  files(...parts: string[]): string[] {
    try {
      return readdirSync(this.path(...parts)).sort()
    } catch {
      return []
    }
  }

  json(...parts: string[]): unknown {
    return JSON.parse(readFileSync(this.path(...parts), 'utf8'))
  }

  /** Ends what runs; the files stay. */
  async quiet(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.kill()))
  }

  async end(): Promise<void> {
    await this.quiet()
    for (const path of [this.#code, this.cwd]) rmSync(path, { recursive: true, force: true })
  }
}
