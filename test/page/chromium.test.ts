/** The peer of pages in a real browser: a page with itself, with a web worker, and with a frame. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { needs } from '../support/systemPackages.ts'

const run = promisify(execFile)
const BROWSERS = [process.env.CHROMIUM, 'chromium'].filter((name) => name !== undefined)
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

async function findBrowser(): Promise<string | undefined> {
  for (const name of BROWSERS) {
    const isThere = await run(name, ['--version']).then(
      () => true,
      () => false,
    )
    if (isThere) return name
  }
  return undefined
}

/** One of the programs, as a page's bundler makes it. */
async function bundled(name: string, format: 'esm' | 'iife'): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'fixtures', name)],
    bundle: true,
    minify: true,
    format,
    platform: 'browser',
    write: false,
    logLevel: 'silent',
  })
  return outputFiles[0]?.text ?? ''
}

const html = (script: string): string =>
  `<!doctype html><body><script type="module" src="${script}"></script>`

/** Serves the programs on loopback; tells what the page reports. */
async function site(): Promise<{ server: Server; url: string; reported: Promise<Record<string, unknown>> }> {
  const files = new Map<string, readonly [type: string, content: string]>([
    ['/', ['text/html', html('/page.js')]],
    ['/frame.html', ['text/html', html('/frame.js')]],
    ['/page.js', ['text/javascript', await bundled('page.js', 'esm')]],
    ['/frame.js', ['text/javascript', await bundled('frame.js', 'esm')]],
    ['/worker.js', ['text/javascript', await bundled('worker.js', 'iife')]],
  ])
  let tell = (_report: Record<string, unknown>): void => {}
  const reported = new Promise<Record<string, unknown>>((resolve) => {
    tell = resolve
  })
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (part) => {
      body += String(part)
    })
    request.on('end', () => {
      if (request.url === '/report') tell(JSON.parse(body))
      const [type, content] = files.get(request.url ?? '') ?? ['text/plain', '']
      response.writeHead(content === '' ? 204 : 200, { 'content-type': type }).end(content)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { server, url: `http://127.0.0.1:${port}/`, reported }
}

describe('a page in Chromium', () => {
  const profile = mkdtempSync(join(tmpdir(), 'viaduct-page-'))
  let browser: ChildProcess | undefined
  let server: Server | undefined
  let report: Record<string, unknown> | undefined

  beforeAll(async () => {
    await needs('Chromium', ['chromium'], async () => (await findBrowser()) !== undefined)
    const program = await findBrowser()
    if (program === undefined) return
    const served = await site()
    server = served.server
    const flags = [...FLAGS, `--user-data-dir=${profile}`]
    // A group of its own: all of its processes end together.
    browser = spawn(program, [...flags, served.url], { stdio: 'ignore', detached: true })
    const ended = new Promise<never>((_, reject) => {
      browser?.once('exit', (code) =>
        reject(new Error(`the browser ended with ${code} and reported nothing`)),
      )
    })
    report = await Promise.race([served.reported, ended])
  }, 600_000)

  afterAll(async () => {
    if (browser && browser.exitCode === null) {
      const gone = new Promise((resolve) => browser?.once('exit', resolve))
      if (browser.pid !== undefined) process.kill(-browser.pid, 'SIGKILL')
      await gone
    }
    server?.closeAllConnections()
    server?.close()
    rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  })

  it.for(['channel', 'worker', 'frame'])('calls whoever serves behind a %s', (place, { skip }) => {
    if (!report) return skip()
    expect(report.failed).toBeUndefined()
    expect(report[place]).toEqual({
      count: 3,
      progress: ['counting'],
      lines: ['one', 'two'],
      joined: 'abc',
      same: true,
      values: [true, 5, '12345678901234567890', true, 1.5, true, true, [['__proto__', 'a key as others']]],
      late: 'DEADLINE_EXCEEDED',
      refused: ['METHOD_NOT_FOUND', 'not-sent'],
      unsendable: ['UNSENDABLE', 'input.deep[0]'],
      many: true,
      closed: 'GOING_AWAY',
    })
  })
})
