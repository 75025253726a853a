/** What Node loads of the package: a few files in place of one for each module, and the same things in them. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '..')
const { dependencies, exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const SUBPATHS = Object.keys(exports).filter((subpath) => exports[subpath].node !== undefined)

/** Runs a program in a process of its own, where `viaduct` is what a program in Node gets. */
async function answer(program: string): Promise<unknown> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program], { cwd: ROOT })
  return JSON.parse(stdout)
}

it.each(SUBPATHS)('%s has the same names for Node as for bundlers', async (subpath) => {
  const names = (from: string) => answer(`console.log(JSON.stringify(Object.keys(await import('${from}'))))`)
  const module = pathToFileURL(join(ROOT, exports[subpath].default)).href
  const found = await names(subpath.replace('.', 'viaduct'))
  expect(found).not.toEqual([])
  expect(found).toEqual(await names(module))
})

it('shares what two of its entries share', async () => {
  const program = `
    const [node, page] = [await import('viaduct'), await import('viaduct/browser/full')]
    console.log(JSON.stringify([node.ViaductError === page.ViaductError, node.contract === page.contract]))`
  expect(await answer(program)).toEqual([true, true])
})

it('needs nothing but Node and the dependencies that it names', () => {
  const folder = join(ROOT, 'dist/node')
  const known = [...builtinModules.map((name) => `node:${name}`), ...Object.keys(dependencies)]
  const files = readdirSync(folder).filter((name) => name.endsWith('.js'))
  const imported = files.flatMap((name) =>
    [...readFileSync(join(folder, name), 'utf8').matchAll(/(?:\bfrom|^import) "([^"]+)";$/gm)].map(
      ([, from]) => from ?? '',
    ),
  )
  expect(imported.length).toBeGreaterThan(files.length)
  const isBeside = (from: string) => from.startsWith('./') && files.includes(from.slice('./'.length))
  expect(imported.filter((from) => !isBeside(from) && !known.includes(from))).toEqual([])
})
