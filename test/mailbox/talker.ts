import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

type Line = { readonly [name: string]: unknown }

/** A program of `fixtures/` in a process of its own that says lines of JSON. */
export class Talker {
  static readonly #all = new Set<Talker>()
  readonly lines: Line[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  #look: () => void = () => {}

  constructor(name: string, ...args: readonly string[]) {
    const program = fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
    this.#child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#exited = once(this.#child, 'exit')
    const { stdout } = this.#child
    if (!stdout) throw new Error('no stdout')
    createInterface({ input: stdout }).on('line', (text) => {
      const line: unknown = JSON.parse(text)
      if (typeof line === 'object' && line !== null) this.lines.push({ ...line })
      this.#look()
    })
    Talker.#all.add(this)
  }

  static async endAll(): Promise<void> {
    await Promise.all([...Talker.#all].map((each) => each.kill()))
  }

  /** The first line that is as asked; rejects when the process ends without. */
  until(met: (line: Line) => boolean): Promise<Line> {
    return new Promise((resolve, reject) => {
      this.#look = () => {
        const found = this.lines.find(met)
        if (found) resolve(found)
      }
      this.#look()
      this.#exited.then(() => reject(new Error('it has ended')), reject)
    })
  }

  /** As `kill -9`; settles when it is gone. */
  async kill(): Promise<void> {
    Talker.#all.delete(this)
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}
