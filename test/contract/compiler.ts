import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '')
/** This repository as a program in the folder of a {@link project} may import it, with `preserveSymlinks`. */
export const HERE = './here'
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc')

/** A folder with these files and the project's own compiler options, removed by `dispose`. */
export function project(files: Record<string, string>, options: Record<string, unknown> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'viaduct-types-'))
  const tsconfig = {
    extends: join(ROOT, 'tsconfig.base.json'),
    compilerOptions: {
      ...{ composite: false, incremental: false, noEmit: true, rootDir: '/', lib: ['es2023'], types: [] },
      ...{ rewriteRelativeImportExtensions: false, allowImportingTsExtensions: true, ...options },
    },
    files: [join(ROOT, 'src/globals.d.ts'), ...Object.keys(files).map((name) => join(folder, name))],
  }
  const all = { ...files, 'package.json': '{"type":"module"}', 'tsconfig.json': JSON.stringify(tsconfig) }
  for (const [name, text] of Object.entries(all)) writeFileSync(join(folder, name), text)
  symlinkSync(ROOT, join(folder, HERE), 'dir')
  return { folder, dispose: () => rmSync(folder, { recursive: true }) }
}

/** What the compiler prints about the project in a folder. */
export async function compile(folder: string, ...options: string[]): Promise<string> {
  const child = spawn(process.execPath, [TSC, '-p', folder, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => {
    text += chunk
  })
  await new Promise((resolve) => child.on('close', resolve))
  return text
}

/** The compiler as an editor uses it: asks by the Language Server Protocol. */
export class LanguageServer {
  readonly #child: ChildProcess
  readonly #pending = new Map<number, (result: unknown) => void>()
  #received = Buffer.alloc(0)
  #number = 0

  constructor() {
    this.#child = spawn(process.execPath, [TSC, '--lsp', '--stdio'], { stdio: ['pipe', 'pipe', 'ignore'] })
    this.#child.stdout?.on('data', (chunk) => this.#receive(chunk))
  }

  async open(path: string, text: string): Promise<void> {
    await this.request('initialize', { processId: process.pid, rootUri: `file://${ROOT}`, capabilities: {} })
    this.#send({ method: 'initialized', params: {} })
    const textDocument = { uri: `file://${path}`, languageId: 'typescript', version: 1, text }
    this.#send({ method: 'textDocument/didOpen', params: { textDocument } })
  }

  request(method: string, params: object): Promise<unknown> {
    const id = ++this.#number
    this.#send({ id, method, params })
    return new Promise((resolve) => this.#pending.set(id, resolve))
  }

  stop(): void {
    this.#child.kill()
  }

  #send(message: object): void {
    const text = JSON.stringify({ jsonrpc: '2.0', ...message })
    this.#child.stdin?.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`)
  }

  #receive(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    for (;;) {
      const head = this.#received.indexOf('\r\n\r\n')
      if (head < 0) return
      const length = Number(/Content-Length: (\d+)/i.exec(this.#received.toString('latin1', 0, head))?.[1])
      const end = head + 4 + length
      if (this.#received.length < end) return
      const message = JSON.parse(this.#received.toString('utf8', head + 4, end))
      this.#received = this.#received.subarray(end)
      if (message.method === undefined) this.#pending.get(message.id)?.(message.result)
      else if (message.id !== undefined) this.#send({ id: message.id, result: null })
    }
  }
}
