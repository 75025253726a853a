import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import type { MailboxOptions } from '../../../src/mailbox/options.ts'
import type { Command, Orders } from './program.ts'

/** The repository: from here, or from `dist/storm/`, where the long storm's runner is bundled to. */
const HERE = fileURLToPath(new URL('.', import.meta.url))
const ROOT = join(HERE, HERE.includes(join('dist', 'storm')) ? '../..' : '../../..')

/** A line of a ledger. */
export interface Line {
  readonly atNs: bigint
  /** Which process wrote it. Its name, since a long storm gets some pids twice. */
  readonly by: string
  readonly what: string
  readonly id: string
  readonly attempt: number
}

/** A folder with one mailbox, and real processes around it. On the disk, since a folder of memory is no test. */
export class Processes {
  readonly folder: string
  readonly mailbox: MailboxOptions
  readonly #program: string
  readonly #children = new Set<Child>()

  constructor(program: string, mailbox: Pick<MailboxOptions, 'store'> & Partial<MailboxOptions>) {
    this.#program = program
    this.folder = mkdtempSync(join(process.env.VIADUCT_TEST_DISK ?? tmpdir(), 'mailbox-'))
    mkdirSync(join(this.folder, 'effects'))
    this.mailbox = { root: join(this.folder, 'ipc'), group: 'main', ...mailbox }
  }

  start(name: string, orders: Partial<Orders> = {}): Child {
    const given: Orders = { mailbox: this.mailbox, folder: this.folder, name, ...orders }
    const child = new Child(this.#program, given)
    this.#children.add(child)
    return child
  }

  /** Dead letters. */
  get letters(): number {
    const errors = join(this.folder, 'ipc/main/errors')
    return existsSync(errors) ? readdirSync(errors).length : 0
  }

  ledger(): Line[] {
    const names = readdirSync(this.folder).filter((name) => name.endsWith('.ledger'))
    const lines = names.flatMap((name) => this.ledgerOf(name.slice(0, -'.ledger'.length)))
    return lines.sort((one, other) => (one.atNs < other.atNs ? -1 : one.atNs > other.atNs ? 1 : 0))
  }

  /** What one of them wrote. */
  ledgerOf(name: string): Line[] {
    const path = join(this.folder, `${name}.ledger`)
    const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []
    return lines.flatMap((line): Line[] => {
      const [atNs, what, id, attempt] = line.split(' ')
      if (atNs === undefined || what === undefined || id === undefined || attempt === undefined) return []
      return [{ atNs: BigInt(atNs), by: name, what, id, attempt: Number(attempt) }]
    })
  }

  /** Files that handlers have made, one for each id at most. */
  get effects(): number {
    return readdirSync(join(this.folder, 'effects')).length
  }

  ids(what: string): string[] {
    return this.ledger().flatMap((line) => (line.what === what ? [line.id] : []))
  }

  /** Kills whoever is left. */
  async close(keep = false): Promise<void> {
    await Promise.all([...this.#children].map((child) => child.kill()))
    if (!keep) rmSync(this.folder, { recursive: true, force: true })
  }
}

export class Child {
  readonly name: string
  readonly process: ChildProcess
  readonly exited: Promise<unknown>
  readonly #said: object[] = []
  readonly #waiting = new Set<() => void>()
  stderr = ''

  constructor(program: string, orders: Orders) {
    this.name = orders.name
    this.process = fork(program, [JSON.stringify(orders)], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [],
    })
    this.exited = once(this.process, 'exit')
    this.process.stderr?.on('data', (text) => {
      this.stderr = `${this.stderr}${text}`.slice(-20_000)
    })
    this.process.on('message', (message) => {
      if (typeof message === 'object' && message !== null) this.#said.push(message)
      for (const wake of [...this.#waiting]) wake()
    })
    this.process.on('exit', () => {
      for (const wake of [...this.#waiting]) wake()
    })
  }

  get isOver(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null
  }

  /** What it said that has these fields; waits until there are so many. */
  async said(fields: object, count = 1): Promise<object[]> {
    const fits = (message: object): boolean =>
      Object.entries(fields).every(([name, value]) => {
        const field: unknown = Reflect.get(message, name)
        return value === ANY ? field !== undefined : field === value
      })
    for (;;) {
      const found = this.#said.filter(fits)
      if (found.length >= count) return found
      if (this.isOver) throw new Error(`it ended without ${JSON.stringify(fields)}: ${this.stderr}`)
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          this.#waiting.delete(wake)
          resolve()
        }
        this.#waiting.add(wake)
      })
    }
  }

  tell(command: Command): void {
    this.process.send(command)
  }

  async kill(): Promise<void> {
    if (this.isOver) return
    this.process.kill('SIGKILL')
    await this.exited
  }

  async stop(): Promise<void> {
    this.tell({ stop: true })
    await this.exited
  }
}

export const ANY = '*'

/** The program as one file, over the sources. */
export async function bundleProgram(folder: string): Promise<string> {
  const outfile = join(folder, 'program.mjs')
  await build({
    entryPoints: [join(ROOT, 'test/mailbox/kills/program.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
    alias: { 'viaduct/mailbox': join(ROOT, 'src/mailbox/index.ts') },
  })
  return outfile
}
