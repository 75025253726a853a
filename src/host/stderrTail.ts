import type { Readable } from 'node:stream'

/** Bytes of a child's stderr that are kept. */
const STDERR_TAIL_BYTES = 4096

/** Keeps the end of what children write to stderr, and passes it on to ours no faster than ours takes it. */
export class StderrTail {
  #bytes: Buffer = Buffer.alloc(0)

  /** UTF-8; a character cut at the beginning is left out. */
  get text(): string {
    let from = 0
    if (this.#bytes.length === STDERR_TAIL_BYTES) {
      while (from < 3 && ((this.#bytes[from] ?? 0) & 0xc0) === 0x80) from++
    }
    return this.#bytes.toString('utf8', from)
  }

  follow(stderr: Readable | null, passOn: 'ignore' | 'inherit'): void {
    stderr?.on('error', () => {})
    stderr?.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]).subarray(-STDERR_TAIL_BYTES)
      if (passOn === 'ignore' || process.stderr.write(chunk)) return
      stderr.pause()
      process.stderr.once('drain', () => stderr.resume())
    })
  }
}
