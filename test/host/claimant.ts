import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** A process of its own that claims something when told to. */
export class Claimant {
  readonly process: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>

  constructor(script: string, ...args: string[]) {
    this.process = spawn(process.execPath, [script, ...args])
    this.process.stderr.pipe(process.stderr)
    this.#lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]()
  }

  /** Its next line: `here`, `won`, `released`, an error as JSON …; undefined at its end. */
  async line(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next()
    return done ? undefined : value
  }

  go(): void {
    this.process.stdin.write('\n')
  }

  async exit(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, 'exit')
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL')
    await this.exit()
  }
}
