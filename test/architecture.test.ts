import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..', 'src')

/** Layers: imports only point down, or stay within a layer. */
const LAYERS: readonly (readonly string[])[] = [
  ['wire'],
  ['core'],
  ['hub', 'contract', 'policies', 'codecs'],
  ['page'],
  ['transports', 'host', 'mailbox', 'observe'],
  ['faces', 'inspector', 'cli', 'testing'],
  [
    'index.ts',
    'contracts.ts',
    'browser.ts',
    'browserContracts.ts',
    'browserFull.ts',
    'browserCallbacks.ts',
    'browserHub.ts',
    'browserMarks.ts',
    'browserValues.ts',
  ],
]
const PURE = new Set([
  'wire',
  'core',
  'hub',
  'contract',
  'policies',
  'codecs',
  'page',
  'contracts.ts',
  'browser.ts',
  'browserContracts.ts',
  'browserFull.ts',
  'browserCallbacks.ts',
  'browserHub.ts',
  'browserMarks.ts',
  'browserValues.ts',
])
const PURE_FILES = new Set(['memory', 'port', 'direct', 'links'].map((name) => `transports/${name}.ts`))

const files = readdirSync(root, { recursive: true })
  .map(String)
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
  .map((name) => name.split('\\').join('/'))

interface Import {
  readonly from: string
  /** Relative to src, or a package's name. */
  readonly to: string
  readonly typeOnly: boolean
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s+(type\s+)?(?:[\w*{}\s,$]+?\sfrom\s+)?'([^']+)'|import\(\s*'([^']+)'/g
  return [...text.matchAll(pattern)].map(([, type, name, dynamic]) => {
    const named = name ?? dynamic ?? ''
    const to = named.startsWith('.') ? relative(root, join(root, dirname(file), named)) : named
    return { from: file, to: to.split('\\').join('/'), typeOnly: type !== undefined }
  })
}

const imports = files.flatMap(importsOf)

function layerOf(file: string): number {
  const place = file.split('/')[0] ?? ''
  return LAYERS.findIndex((layer) => layer.includes(place))
}

/** All that a file needs when it runs. */
function reached(file: string, seen = new Set<string>()): Set<string> {
  for (const { from, to, typeOnly } of imports) {
    if (from !== file || typeOnly || seen.has(to)) continue
    seen.add(to)
    reached(to, seen)
  }
  return seen
}

describe('architecture', () => {
  it('every file stands in a layer', () => {
    expect(files.length).toBeGreaterThan(60)
    expect(imports.length).toBeGreaterThan(200)
    for (const file of files) expect(layerOf(file), file).toBeGreaterThanOrEqual(0)
  })

  it('imports only point down', () => {
    const up = imports
      .filter(({ to }) => to.endsWith('.ts'))
      .filter(({ from, to }) => layerOf(to) > layerOf(from))
      .map(({ from, to }) => `${from} -> ${to}`)
    expect(up).toEqual([])
  })

  it('imports name files that are there', () => {
    const known = new Set(files)
    for (const { from, to } of imports)
      if (to.endsWith('.ts')) expect(known, `${from} -> ${to}`).toContain(to)
  })

  it('pure layers import nothing of their environment', () => {
    const impure = imports
      .filter(({ from }) => PURE.has(from.split('/')[0] ?? '') || PURE_FILES.has(from))
      .filter(({ to }) => !to.endsWith('.ts') || to.startsWith('host/'))
      .map(({ from, to }) => `${from} -> ${to}`)
    expect(impure).toEqual([])
  })

  it('the switch knows neither peers nor codecs', () => {
    const known = reached('hub/switch.ts')
    expect(known.size).toBeGreaterThan(3)
    for (const file of known) {
      expect(file, 'the switch reaches it').not.toMatch(
        /core\/peer|core\/(incoming|outgoing|writer|items|streams|errorValue)|wire\/body|wire\/dictionary|wire\/shape|contract\/|codecs\//,
      )
    }
  })

  it('a contract of pages knows neither fingerprints, dictionaries, checks, policies nor codecs', () => {
    const known = reached('page/contract.ts')
    expect(known).toContain('contract/entries.ts')
    for (const file of known) {
      expect(file, 'a page reaches it').not.toMatch(
        /fingerprint|jsonSchema|dictionary|interceptor|envelope|linkError|declarations|policies\/|codecs|contract\/(checks|parts|items)/,
      )
    }
  })

  it('the entry of Node loads no package: what it holds in memory slows large messages', () => {
    const loaded = reached('index.ts')
    expect(loaded).toContain('host/hub.ts')
    const packages = [...loaded].filter((name) => !name.endsWith('.ts') && !name.startsWith('node:'))
    expect(packages).toEqual([])
  })

  it('no two files import one another', () => {
    const circles = files.filter((file) => reached(file).has(file))
    expect(circles).toEqual([])
  })
})
