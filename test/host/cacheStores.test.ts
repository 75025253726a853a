import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { diskStore, memoryStore } from '../../src/host/cacheStores.ts'
import { Hub, manifest } from '../../src/index.ts'
import { type CacheEntry, type CacheStore, cache, invalidateWith } from '../../src/policies/index.ts'
import { outgoing } from '../policies/calls.ts'

const program = fileURLToPath(new URL('fixtures/cacher.mjs', import.meta.url))
const folders: string[] = []
const children: ChildProcess[] = []

afterEach(async () => {
  for (const child of children.splice(0)) {
    const gone = new Promise((resolve) => child.once('exit', resolve))
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await gone
    }
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'viaduct-cache-'))
  folders.push(made)
  return join(made, 'answers')
}

function entry(bytes: number | Uint8Array, ...tags: string[]): CacheEntry {
  return {
    bytes: typeof bytes === 'number' ? new Uint8Array(bytes).fill(bytes) : bytes,
    tags,
    expiresAt: 9e15,
  }
}

function files(directory: string): string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) => join(one.parentPath, one.name))
}

const entries = (directory: string) => files(directory).filter((file) => file.includes('index-v5')).length
const contents = (directory: string) => files(directory).filter((file) => file.includes('content-v2'))

/** A process with a cache: what it says to each line. */
async function cacher(...args: readonly string[]) {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(child)
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  await lines.next()
  return {
    pid: child.pid,
    child,
    async say(line: object) {
      child.stdin.write(`${JSON.stringify(line)}\n`)
      const { value } = await lines.next()
      return value === undefined || value === 'undefined' ? undefined : JSON.parse(value)
    },
  }
}

describe.each<[string, () => CacheStore]>([
  ['memoryStore', () => memoryStore()],
  ['diskStore', () => diskStore({ directory: folder() })],
])('%s', (_, make) => {
  it('has what it was given, until it is forgotten: by tag, or all', async () => {
    const store = make()
    await store.set('one', entry(10, 'a', 'b'))
    await store.set('two', entry(20, 'b'))
    await store.set('tre', entry(30))
    expect(await store.get('one')).toEqual(entry(10, 'a', 'b'))
    expect(await store.get('none')).toBeUndefined()
    await store.set('one', entry(11, 'a'))
    expect(await store.get('one')).toEqual(entry(11, 'a'))
    await store.invalidate(['b', 'x'])
    expect(await store.get('two')).toBeUndefined()
    expect(await store.get('one')).toBeDefined()
    await store.invalidate()
    for (const key of ['one', 'tre']) expect(await store.get(key)).toBeUndefined()
  })

  it('forgets every one of many that have the tag', async () => {
    const store = make()
    for (let n = 1; n <= 20; n++) await store.set(`${n}`, entry(n, 'all'))
    await store.set('other', entry(99))
    await store.invalidate(['all'])
    for (let n = 1; n <= 20; n++) expect(await store.get(`${n}`)).toBeUndefined()
    expect(await store.get('other')).toBeDefined()
  })
})

describe('memoryStore', () => {
  it('keeps so many answers and bytes; the one used longest ago goes', async () => {
    const few = memoryStore({ maxEntries: 2 })
    for (const key of ['a', 'b']) few.set(key, entry(1))
    await few.get('a')
    few.set('c', entry(1))
    expect(await few.get('a')).toBeDefined()
    expect(await few.get('b')).toBeUndefined()
    const small = memoryStore({ maxBytes: 1_000 })
    small.set('a', entry(400))
    small.set('b', entry(400))
    small.set('c', entry(400))
    expect(await small.get('a')).toBeUndefined()
    expect(await small.get('c')).toBeDefined()
    small.set('large', entry(2_000))
    expect(await small.get('large')).toBeUndefined()
    expect(await small.get('c')).toBeDefined()
    // What it is found by takes room as well.
    small.set('k'.repeat(1_000), entry(1))
    expect(await small.get('k'.repeat(1_000))).toBeUndefined()
  })

  it.each([
    [() => memoryStore({ maxEntries: 0 }), 'memoryStore.maxEntries'],
    [() => memoryStore({ maxBytes: Number.NaN }), 'memoryStore.maxBytes'],
    [() => diskStore({ directory: '' }), 'diskStore.directory'],
    [() => diskStore({ directory: 'x', maxBytes: -1 }), 'diskStore.maxBytes'],
  ])('refuses options that will not do', (make, path) => {
    expect(make).toThrow(expect.objectContaining({ reason: 'BAD_OPTION', path }))
  })
})

describe('diskStore', () => {
  it('is for its user alone', async () => {
    const directory = folder()
    await diskStore({ directory }).set('a', entry(1))
    if (process.platform !== 'win32') expect(statSync(directory).mode & 0o777).toBe(0o700)
  })

  it('outlives the store that wrote it', async () => {
    const directory = folder()
    await diskStore({ directory }).set('a', entry(7, 'tag'))
    const later = diskStore({ directory })
    expect(await later.get('a')).toEqual(entry(7, 'tag'))
    await later.invalidate(['tag'])
    expect(await later.get('a')).toBeUndefined()
  })

  it('misses what is truncated or changed, and takes the same answer again', async () => {
    for (const damage of [
      (file: string) => truncateSync(file, 3),
      (file: string) => truncateSync(file, 0),
      (file: string) => writeFileSync(file, new Uint8Array(50).fill(1)),
      (file: string) => rmSync(file),
    ]) {
      const directory = folder()
      const store = diskStore({ directory })
      await store.set('a', entry(50))
      const [content] = contents(directory)
      if (content === undefined) throw new Error('no content')
      damage(content)
      expect(await store.get('a')).toBeUndefined()
      await store.set('a', entry(50))
      expect(await store.get('a')).toEqual(entry(50))
    }
  })

  it('misses what its index does not say whole', async () => {
    const directory = folder()
    const store = diskStore({ directory })
    await store.set('a', entry(50))
    for (const file of files(directory))
      if (file.includes('index-v5')) writeFileSync(file, '\nno index\t{"key":"a"}')
    expect(await store.get('a')).toBeUndefined()
    await store.set('a', entry(51))
    expect(await store.get('a')).toEqual(entry(51))
  })

  it('keeps to its bytes, with nothing left of what was replaced', async () => {
    const directory = folder()
    const store = diskStore({ directory, maxBytes: 20_000 })
    for (let n = 0; n < 60; n++) await store.set(`key ${n}`, entry(new Uint8Array(1_000).fill(n)))
    const kept = contents(directory)
    expect(kept.length).toBeGreaterThan(5)
    expect(kept.length).toBeLessThan(11)
    expect(await store.get('key 59')).toBeDefined()
    expect(await store.get('key 0')).toBeUndefined()
    await store.set('large', entry(30_000))
    expect(await store.get('large')).toBeUndefined()
    // One that starts later counts what is there.
    const restarted = diskStore({ directory, maxBytes: 20_000 })
    for (let n = 0; n < 10; n++) await restarted.set(`later ${n}`, entry(new Uint8Array(1_000).fill(100 + n)))
    expect(contents(directory).length).toBeLessThan(11)
    await store.invalidate()
    for (let n = 0; n < 40; n++) await store.set('same', entry(new Uint8Array(500).fill(n)))
    expect(contents(directory)).toHaveLength(1)
    const bytes = files(directory).reduce((sum, file) => sum + statSync(file).size, 0)
    expect(bytes).toBeLessThan(2_000)
  })

  it('does not write after it has forgotten what was set before', async () => {
    const store = diskStore({ directory: folder() })
    const setting = [1, 2, 3].map((n) => store.set(`${n}`, entry(n, 'tag')))
    await store.invalidate(['tag'])
    await Promise.all(setting)
    for (const n of [1, 2, 3]) expect(await store.get(`${n}`)).toBeUndefined()
  })

  it('lets calls go on when there can be no folder', async () => {
    const file = join(folder(), '..', 'file')
    writeFileSync(file, '')
    const policy = cache({
      methods: ['*'],
      stores: [memoryStore(), diskStore({ directory: join(file, 'below') })],
    })
    let asked = 0
    const next = policy(() => ({ value: ++asked }))
    expect(await next(outgoing('a'))).toEqual({ value: 1 })
    expect(await next(outgoing('a'))).toEqual({ value: 1 })
    expect(await next(outgoing('b'))).toEqual({ value: 2 })
    expect(policy.stats().storeFailures).toBeGreaterThan(0)
  })
})

describe('several processes', () => {
  it('share a folder, and what one wrote outlives it', async () => {
    const directory = folder()
    const one = await cacher(directory)
    const answer = await one.say({ ask: 'a' })
    expect(answer).toMatchObject({ by: one.pid, asked: 1 })
    const other = await cacher(directory)
    await expect.poll(() => entries(directory)).toBe(1)
    expect(await other.say({ ask: 'a' })).toEqual(answer)
    one.child.kill('SIGKILL')
    const third = await cacher(directory)
    expect(await third.say({ ask: 'a' })).toEqual(answer)
    // Written by others since it looked: forgotten all the same.
    const late = await other.say({ ask: 'late' })
    await expect.poll(() => entries(directory)).toBe(2)
    expect(await third.say({ ask: 'late' })).toEqual(late)
    await third.say({ forget: ['tag:late'] })
    expect(await third.say({ ask: 'late' })).toMatchObject({ by: third.pid })
    expect(await third.say({ ask: 'a' })).toEqual(answer)
  })

  it('forget together over a hub, and everything after a gap', async () => {
    const base = mkdtempSync(join(tmpdir(), 'viaduct-cachehub-'))
    folders.push(base)
    const rules = manifest({
      cacher: {
        join: true,
        zone: 'trusted',
        subscribe: ['cache.invalidated'],
        publish: ['cache.invalidated'],
      },
      main: { subscribe: ['cache.invalidated'], publish: ['cache.invalidated'] },
    })
    let hub = await Hub.listen({ app: 'forget', base, manifest: rules, log: () => {} })
    try {
      const child = await cacher(folder(), 'forget', base)
      const policy = cache({ methods: ['*'], stores: [memoryStore()], others: invalidateWith(hub.peer) })
      let here = 0
      const next = policy(() => ({ value: ++here }))
      const first = await child.say({ ask: 'a' })
      const kept = await child.say({ ask: 'b' })
      await next(outgoing('a'))
      await policy.invalidate(['tag:a'])
      await expect.poll(async () => (await child.say({ stats: true })).invalidations).toBe(1)
      expect(await child.say({ ask: 'a' })).not.toEqual(first)
      // While the disk forgets, nothing is read from the cache.
      await expect.poll(() => child.say({ ask: 'b' })).toEqual(kept)
      // The other way as well.
      await child.say({ forget: ['pages.analyze'] })
      await expect.poll(async () => await next(outgoing('a'))).toEqual({ value: 2 })

      // Away while something is forgotten: it cannot know what, so it forgets everything.
      const before = (await child.say({ stats: true })).invalidations
      await expect
        .poll(
          async () =>
            new Set([await child.say({ ask: 'b' }), await child.say({ ask: 'b' })].map(({ asked }) => asked))
              .size,
        )
        .toBe(1)
      const again = await child.say({ ask: 'b' })
      await hub.close()
      hub = await Hub.listen({ app: 'forget', base, manifest: rules, log: () => {} })
      await expect.poll(async () => (await child.say({ stats: true })).invalidations).toBeGreaterThan(before)
      expect(await child.say({ ask: 'b' })).not.toEqual(again)
    } finally {
      await hub.close()
    }
  })
})
