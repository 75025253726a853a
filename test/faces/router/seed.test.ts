/** The examples of the document that the router's names come from, word for word, across real processes. */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { transformSync } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pages, ROOT } from '../../docs/pages.ts'

/** What the document's own fences hash to; a page that says something else shows another example. */
const WORDS = {
  '3.1': '9b42659d5a2b2acf7a8e605b90eba64e1d34c423c9a54e2cfcf4e41a36a98d33',
  '3.2': '75cf02082f9ec9a14cc5fdc28bbc822c7e7d5801b867f643934937bc7018d577',
  '3.3': 'f680e2d0c110eb79279bbf913cdd20579c4033e46076e0d961dc6bb7dea01cb8',
}

function example(section: keyof typeof WORDS): string {
  const page = pages.find(({ path }) => path === 'docs/seeds/s0-router.md')
  const hashOf = (text: string) => createHash('sha256').update(text).digest('hex')
  const found = page?.fences.find(({ code }) => hashOf(code) === WORDS[section])
  if (!found) throw new Error(`the page has no example that is that of ${section} word for word`)
  return found.code
}

/** Without its types, which test/docs compiles. */
function plain(code: string): string {
  return transformSync(code, { loader: 'ts', format: 'esm', target: 'es2023' }).code
}

/** Below the repository, so that `viaduct/router` is this very package as it was built. */
const cache = join(ROOT, '.cache')
mkdirSync(cache, { recursive: true })
const folder = mkdtempSync(join(cache, 's0-'))
const base = mkdtempSync(join(tmpdir(), 's0-'))
afterAll(() => {
  for (const path of [folder, base]) rmSync(path, { recursive: true, force: true })
})

const [client = '', server = ''] = example('3.1').split('// Server (Main Process)')

const renderer = `
import { randomUUID as uuid } from 'node:crypto'
import { IPCRouter } from 'viaduct/router'
const ipcRouter = await IPCRouter.connect()
const said = []
console.log = (...words) => said.push(words)
const handleError = (error) => said.push(['handleError', error.code])
const getUserContext = () => ({ user: 'ada' })
${plain(client)}
${plain(example('3.2'))}
async function sendBatch(event1, event2, event3) {
  let response
  const before = ipcRouter.send
  ipcRouter.send = async (message) => (response = await before.call(ipcRouter, message))
  ${plain(example('3.3'))}
  ipcRouter.send = before
  return response
}
ipcRouter.registerNamespace('test', {
  execute: async ([commandId]) => {
    await executeCommand(commandId)
    return said.splice(0)
  },
  log: async ([interaction]) => await logUserInteraction(interaction),
  batch: async (events) => await sendBatch(...events),
})
`
const main = `export function serve(ipcRouter, executeCommandLogic) {
${plain(server)}
}`

let router: import('../../../src/faces/router/index.ts').IPCRouter<import('../../../src/index.ts').Hub>
const ran: unknown[] = []
const heard: unknown[] = []
let wake = (): void => {}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => (wake = resolve))
}

function hear(what: unknown): void {
  heard.push(what)
  wake()
}

describe('the document’s own examples', () => {
  beforeAll(async () => {
    writeFileSync(join(folder, 'renderer.mjs'), renderer)
    writeFileSync(join(folder, 'main.mjs'), main)
    const { IPCRouter } = await import('../../../src/faces/router/index.ts')
    router = await IPCRouter.listen({
      app: 'seed',
      base,
      manifest: { main: { call: ['test.*'] }, renderer: { call: ['arq.*'] } },
    })
    const { serve }: { serve: (router: unknown, logic: unknown) => void } = await import(
      pathToFileURL(join(folder, 'main.mjs')).href
    )
    serve(router, async (commandId: unknown, context: unknown) => {
      ran.push([commandId, context])
      if (commandId === 'fail') throw new Error('no such command')
      return { done: commandId }
    })
    router.registerHandler('arq.logInteraction', ([interaction], { message }) =>
      hear([interaction, message.type, message.source]),
    )
    router.registerHandler('arq.logEvent', ([event], { message }) => {
      hear([event, message.type])
      if (event.id === 2) throw new Error('two')
      return event.id
    })
    await router.hub.supervise('renderer-1', {
      type: 'renderer',
      run: [process.execPath, join(folder, 'renderer.mjs')],
    })
    await router.hub.whenReady('renderer-1')
  })
  afterAll(() => router?.close())

  it('3.1: a request, and what comes of it', async () => {
    expect(await router.call('test.execute', 'save')).toEqual([['Command executed:', { done: 'save' }]])
    expect(ran.splice(0)).toEqual([['save', { user: 'ada' }]])
    expect(await router.call('test.execute', 'fail')).toEqual([['handleError', 'HANDLER_ERROR']])
    expect(ran.splice(0)).toEqual([['fail', { user: 'ada' }]])
  })

  it('3.2: a notification', async () => {
    await router.call('test.log', { kind: 'click' })
    await until(() => heard.length > 0)
    expect(heard.splice(0)).toEqual([[{ kind: 'click' }, 'notification', 'renderer-1']])
  })

  it('3.3: a batch, whose items settle one by one', async () => {
    const response = await router.call('test.batch', { id: 1 }, { id: 2 }, { id: 3 })
    expect(heard.splice(0)).toEqual([1, 2, 3].map((id) => [{ id }, 'request']))
    expect(response).toMatchObject({
      status: 'error',
      error: { code: 'HANDLER_ERROR', message: '1 of 3 failed, the first: two', retryable: false },
      result: [
        { status: 'ok', result: 1 },
        { status: 'error', error: { code: 'HANDLER_ERROR' } },
        { status: 'ok', result: 3 },
      ],
    })
    expect(await router.call('test.batch', { id: 1 }, { id: 3 }, { id: 4 })).toMatchObject({
      status: 'ok',
      result: [{ result: 1 }, { result: 3 }, { result: 4 }],
    })
  })
})
