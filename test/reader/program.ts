import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Row } from '../../examples/reader/schemas.ts'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const DIST = `${ROOT}dist/`
const MAIN = `${DIST}examples/reader/main.js`

/** The reader as a user starts it, from the built files. */
export class Program {
  readonly process: ChildProcessWithoutNullStreams
  stdout = ''
  stderr = ''
  /** When it and every process that writes where it writes have ended: nobody holds its pipes any more. */
  readonly ended: Promise<number | NodeJS.Signals | null>
  #look = (): void => {}

  /** @param temporary where its runtime folder will be, and nothing else is */
  constructor(args: readonly string[], temporary: string, env: Record<string, string> = {}) {
    const { XDG_RUNTIME_DIR: _, INIT_CWD: __, NO_COLOR: ___, FORCE_COLOR: ____, ...inherited } = process.env
    this.process = spawn(process.execPath, [MAIN, '--app', 'test', ...args], {
      cwd: temporary,
      env: { ...inherited, TMPDIR: temporary, COLUMNS: '240', ...env },
    })
    this.process.stdout.on('data', (text: Buffer) => {
      this.stdout += text
      this.#look()
    })
    this.process.stderr.on('data', (text: Buffer) => {
      this.stderr += text
      this.#look()
    })
    this.ended = new Promise((resolve) => {
      this.process.once('close', (code, signal) => {
        resolve(code ?? signal)
        this.#look()
      })
    })
  }

  /** Settles when it has written that; rejects when it ends without. */
  until(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      this.#look = () => {
        const found = pattern.exec(this.stdout + this.stderr)
        if (found) resolve(found)
        else if (this.process.exitCode !== null)
          reject(new Error(`ended without ${pattern}:\n${this.stdout}\n${this.stderr}`))
      }
      this.#look()
    })
  }

  get rows(): Row[] {
    return this.stdout
      .trim()
      .split('\n')
      .map((line) => Row.parse(JSON.parse(line)))
  }

  /** Pids by id, as it has written them when all were ready; the hub's is that of the others' parent. */
  async pids(): Promise<Map<string, number>> {
    const [line] = await this.until(/Ready after .*hub\./)
    const pids = new Map(
      [...line.matchAll(/([a-z]+(?:-\d)?) (\d+)/g)].map(([, id, pid]) => [id ?? '', Number(pid)]),
    )
    pids.delete('after')
    const network = pids.get('network-1')
    const parent = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${network}/status`, 'utf8'))?.[1]
    return pids.set('hub', Number(parent))
  }
}

/** The most memory that a process ever had, in MiB. */
export function peakMemory(pid: number): number {
  const kib = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kib) / 1024
}
