import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'

/** A folder of the test file's own, removed when its tests have ended. */
export function testFolder(): {
  path(name?: string): string
  file(name: string, content: string | Uint8Array): Promise<string>
} {
  let root = ''
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'reader-'))
  })
  afterAll(() => rm(root, { recursive: true, force: true }))
  const path = (name = ''): string => join(root, name)
  return {
    path,
    async file(name, content) {
      await mkdir(dirname(path(name)), { recursive: true })
      await writeFile(path(name), content)
      return path(name)
    },
  }
}

/** All that a generator yields, and what it returns. */
export async function drain<Item, Output>(
  items: AsyncGenerator<Item, Output>,
): Promise<{ items: Item[]; output: Output }> {
  const all: Item[] = []
  for (;;) {
    const next = await items.next()
    if (next.done === true) return { items: all, output: next.value }
    all.push(next.value)
  }
}

export async function* chunked(text: string, size = 65_536): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size)
}
