import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { documents, plugin } from '../../examples/reader/contract.ts'
import { rules } from '../../examples/reader/manifest.ts'
import { Hub } from '../../src/index.ts'
import { testFolder } from './folder.ts'
import { DIST } from './program.ts'

const folder = testFolder()

describe('the plugin among processes that count', () => {
  let hub: Hub
  const asked: string[] = []
  beforeAll(async () => {
    // This process is the one that serves the documents, and may ask the plugin.
    hub = await Hub.listen({
      app: 'plugin-test',
      base: folder.path(),
      id: 'network-1',
      type: 'network',
      manifest: { ...rules, network: { call: ['plugin.*', 'documents.*'] } },
    })
    hub.serve(documents, {
      async *text({ path }) {
        asked.push(path)
        yield 'text'
        return { bytes: 4, encoding: 'utf-8' }
      },
      async *lines({ path }) {
        asked.push(path)
        yield 'line'
        return { bytes: 4, encoding: 'utf-8' }
      },
      list: () => [],
    })
    for (const [id, type] of [
      ['plugin-1', 'plugin'],
      ['ai-1', 'ai'],
    ] as const)
      await hub.supervise(id, {
        type,
        run: [process.execPath, `${DIST}examples/reader/${type}.js`],
        readyTimeoutMs: 20_000,
      })
  })
  afterAll(() => hub.close())

  it('is refused by the hub: the documents never hear of it', async () => {
    const attempts = await hub
      .client(plugin, { type: 'plugin' })
      .attempts({ path: '/etc/passwd' }, { timeoutMs: 20_000 })
    const refused = attempts.filter(({ allowed }) => !allowed)
    expect(refused.map(({ method }) => method)).toContain('documents.text')
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['PERMISSION_DENIED']))
    expect(asked).toEqual([])
    // The same call by somebody who may make it does arrive.
    await hub.client(documents, { type: 'network' }).text({ path: '/a.md' }).output
    expect(asked).toEqual(['/a.md'])
  })
})
