import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

const fromRoot = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Record<string, string | undefined>
  readonly input?: string
}

/**
 * The program as it is installed, in a folder of its own, and a runtime folder that only this test uses.
 * The environment of this process is changed to match.
 */
export class Program {
  readonly folder = mkdtempSync(join(tmpdir(), 'vc-'))
  /** A folder to run in: no package.json above it names an app. */
  readonly cwd = join(this.folder, 'work')
  readonly path = join(this.folder, 'package', 'dist', 'cli', 'main.js')
  #started: Started[] = []

  constructor() {
    mkdirSync(this.cwd)
    mkdirSync(join(this.folder, 'run'), { mode: 0o700 })
    process.env.XDG_RUNTIME_DIR = join(this.folder, 'run')
    delete process.env.VIADUCT_CONTEXT
    buildSync({
      entryPoints: [fromRoot('src/cli/main.ts')],
      outfile: this.path,
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
    })
    cpSync(fromRoot('package.json'), join(this.folder, 'package', 'package.json'))
  }

  start(args: readonly string[], options: RunOptions = {}): Started {
    const started = new Started(this.path, args, { cwd: this.cwd, ...options })
    this.#started.push(started)
    return started
  }

  /** Runs it to its end. */
  async run(args: string | readonly string[], options: RunOptions = {}): Promise<Outcome> {
    const words = typeof args === 'string' ? args.split(' ').filter((word) => word !== '') : args
    const started = this.start(words, options)
    started.process.stdin.end(options.input ?? '')
    return started.end()
  }

  remove(): void {
    for (const { process } of this.#started) process.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** A command that runs. */
export class Started {
  readonly process: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>
  readonly #notes: AsyncIterator<string>
  readonly #closed: Promise<unknown>
  stdout = ''
  stderr = ''

  constructor(path: string, args: readonly string[], { cwd, env = {} }: RunOptions) {
    this.process = spawn(process.execPath, [path, ...args], {
      cwd,
      env: { ...process.env, FORCE_COLOR: undefined, NO_COLOR: undefined, ...env },
    })
    const { stdin, stdout, stderr } = this.process
    stdin.on('error', () => {})
    stdout.on('data', (data: Buffer) => {
      this.stdout += data.toString()
    })
    stderr.on('data', (data: Buffer) => {
      this.stderr += data.toString()
    })
    this.#lines = createInterface({ input: stdout })[Symbol.asyncIterator]()
    this.#notes = createInterface({ input: stderr })[Symbol.asyncIterator]()
    this.#closed = once(this.process, 'close')
  }

  /** The next line of stdout. */
  async line(): Promise<string> {
    return (await this.#lines.next()).value ?? ''
  }

  /** The next line of stderr. */
  async note(): Promise<string> {
    return (await this.#notes.next()).value ?? ''
  }

  async end(): Promise<Outcome> {
    await this.#closed
    return { code: this.process.exitCode, stdout: this.stdout, stderr: this.stderr }
  }
}
