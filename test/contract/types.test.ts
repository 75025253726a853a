import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { compile, LanguageServer, project, ROOT } from './compiler.ts'

const TIMEOUT_MS = 120_000
const checks = join(ROOT, 'test/contract/types.check.ts')

describe('types', () => {
  it('are what types.check.ts claims, in all three libraries', { timeout: TIMEOUT_MS }, async () => {
    const types = { types: ['node'], typeRoots: [join(ROOT, 'node_modules/@types')] }
    const { folder, dispose } = project({ 'all.ts': `import '${checks}'\n` }, types)
    expect(await compile(folder)).toBe('')
    dispose()
  })

  it('survive a declaration file', { timeout: TIMEOUT_MS }, async () => {
    const imports = `import { contract, method, stream, topic } from '${ROOT}/src/contract/contract.ts'
import { client } from '${ROOT}/src/contract/client.ts'
import type { Caller } from '${ROOT}/src/core/call.ts'
import { z } from '${ROOT}/node_modules/zod/index.js'
`
    const first = project(
      {
        'pages.ts': `${imports}
export const pages = contract('pages', {
  analyze: method({ input: z.object({ url: z.string() }), output: z.number(), errors: { Bad: z.string() } }),
  lines: stream({ item: z.string(), upload: z.number() }),
  opened: topic({ data: z.string() }),
})
export const connect = (caller: Caller) => client(caller, pages)
`,
      },
      { noEmit: false, emitDeclarationOnly: true, declarationMap: false, outDir: 'out' },
    )
    expect(await compile(first.folder)).toBe('')
    const declarations = readFileSync(join(first.folder, 'out', first.folder, 'pages.d.ts'), 'utf8')
    const second = project({
      'pages.d.ts': declarations,
      'user.ts': `import { connect, pages } from './pages.js'
import type { Caller } from '${ROOT}/src/core/call.ts'
import { isError } from '${ROOT}/src/contract/declaredErrors.ts'
declare const caller: Caller
const api = connect(caller)
export const length: Promise<number> = api.analyze({ url: '' })
// @ts-expect-error wrong input
api.analyze({ url: 1 })
// @ts-expect-error topics are not called
api.opened
export const check = (error: unknown) => isError(pages.analyze, error, 'Bad') && error.data.length
`,
    })
    expect(await compile(second.folder)).toBe('')
    first.dispose()
    second.dispose()
  })
})

describe('the editor', () => {
  const text = readFileSync(checks, 'utf8')
  const server = new LanguageServer()
  const opened = server.open(checks, text)
  afterAll(() => server.stop())

  /** The line in samples.ts that an editor goes to from the name at the end of `before`. */
  async function definitionOf(before: string, name: string) {
    await opened
    const offset = text.indexOf(before + name) + before.length
    const lines = text.slice(0, offset).split('\n')
    const position = { line: lines.length - 1, character: lines.at(-1)?.length }
    const textDocument = { uri: `file://${checks}` }
    return server.request('textDocument/definition', { textDocument, position })
  }

  it.each([
    ['api.', 'analyze', 'a call'],
    ['api.', 'lines', 'a stream'],
    ['isError(pages.', 'analyze', 'a method'],
    ['publish(link, pages.', 'opened', 'a topic'],
    ['    ', 'analyze(page, call)', 'a handler'],
  ])('goes from %s%s to the line of the contract', { timeout: TIMEOUT_MS }, async (before, name) => {
    const samples = readFileSync(join(ROOT, 'test/contract/samples.ts'), 'utf8').split('\n')
    const key = name.replace(/\(.*/, '')
    const line = samples.findIndex((text) => text.startsWith(`  ${key}: `))
    expect(await definitionOf(before, name)).toMatchObject([
      { uri: `file://${ROOT}/test/contract/samples.ts`, range: { start: { line, character: 2 } } },
    ])
  })
})
