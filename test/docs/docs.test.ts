/** The documents say what stands: links, names, commands, and the parts that are made of the code. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  benchTable,
  between,
  errorsPage,
  limitsTable,
  mailboxTable,
  readResult,
  readRuntimes,
  readSources,
  runtimesTable,
} from '../../scripts/docs.js'
import { EXPLANATIONS } from '../../src/cli/explanations.ts'
import { EXIT } from '../../src/cli/failure.ts'
import { generalHelp, VERBS, verbHelp } from '../../src/cli/help.ts'
import * as mailboxLimits from '../../src/mailbox/limits.ts'
import { CODES } from '../../src/wire/errors.ts'
import * as limits from '../../src/wire/limits.ts'
import { anchorsOf, linksOf, pages, ROOT } from './pages.ts'

/** How to mend what is stale, after a build. */
const MEND = 'node scripts/docs.js'

function pageOf(path: string) {
  const page = pages.find((one) => one.path === path)
  if (!page) throw new Error(`there is no page ${path}`)
  return page
}

describe('links', () => {
  it.each(pages.map((page) => [page.path, page] as const))('of %s lead somewhere', (path, page) => {
    const broken = linksOf(page).filter((target) => {
      const [file = '', anchor] = target.split('#')
      const found = file === '' ? path : normalize(join(dirname(path), file))
      if (!existsSync(join(ROOT, found))) return true
      if (anchor === undefined) return false
      return !anchorsOf(pageOf(found)).has(anchor)
    })
    expect(broken).toEqual([])
  })

  it('reach every page from the README', () => {
    const reached = new Set<string>(['README.md'])
    for (const path of reached) {
      const page = pages.find((one) => one.path === path)
      for (const target of page ? linksOf(page) : []) {
        const file = target.split('#')[0] ?? ''
        if (file.endsWith('.md')) reached.add(normalize(join(dirname(path), file)))
      }
    }
    expect(pages.map(({ path }) => path).filter((path) => !reached.has(path))).toEqual([])
  })

  it('and names of files in the text are those of files that are there', () => {
    const named = pages.flatMap(({ path, prose }) =>
      [...prose.matchAll(/`((?:src|test|examples|bench|docs|scripts|vectors)\/[\w./-]*)`/g)].map(
        ([, file = '']) => [path, file] as const,
      ),
    )
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter(([, file]) => !existsSync(join(ROOT, file)))).toEqual([])
  })
})

describe('commands', () => {
  const lines = pages.flatMap(({ path, fences }) =>
    fences
      .filter(({ language }) => language === 'sh' || language === 'console')
      .flatMap(({ code, language }) =>
        code
          .split('\n')
          .filter((line) => language === 'sh' || line.startsWith('$ '))
          .map((line) => [path, line.replace(/^\$ /, '').replace(/\s+#.*$/, '')] as const),
      ),
  )

  it('of the command line are its verbs, with options that it has', () => {
    const used = lines.flatMap(([path, line]) =>
      [...line.matchAll(/(?:^|[\s(])(?:npx )?viaduct ([^|]+)/g)].map(
        ([, words = '']) => [path, words] as const,
      ),
    )
    expect(used.length).toBeGreaterThan(5)
    for (const [path, words] of used) {
      const verb = words.split(' ').find((word) => !word.startsWith('-')) ?? ''
      const help = VERBS[verb]
      expect(Object.keys(VERBS), `${path}: viaduct ${words}`).toContain(verb)
      for (const [, option = ''] of words.matchAll(/\s(--?[a-z]+)/g)) {
        const known = `${help ? verbHelp(help) : ''}\n${generalHelp()}`
        expect(known, `${path}: viaduct ${words}`).toContain(option)
      }
    }
  })

  it('of npm are scripts of the package', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    const used = lines.flatMap(([path, line]) =>
      [...line.matchAll(/npm (?:run ([\w:]+)|(start|test))/g)].map(
        ([, run, own]) => [path, run ?? own] as const,
      ),
    )
    expect(used.length).toBeGreaterThan(2)
    for (const [path, name] of used) expect(Object.keys(scripts), path).toContain(name)
  })
})

describe('parts made of the code', () => {
  it('the limits in the README', () => {
    const { text } = pageOf('README.md')
    expect(text, MEND).toBe(
      between(text, 'limits', limitsTable({ ...limits, ...mailboxLimits }, readSources())),
    )
  })

  it('the measurements in the README', () => {
    const { text } = pageOf('README.md')
    const linked = between(text, 'bench', benchTable(readResult('latest')))
    expect(text, MEND).toBe(between(linked, 'mailbox', mailboxTable(readResult('mailbox'))))
  })

  it('the runtimes in the README', () => {
    const { text } = pageOf('README.md')
    expect(text, MEND).toBe(between(text, 'runtimes', runtimesTable(readRuntimes())))
  })

  it('the page of errors', () => {
    expect(pageOf('docs/reference/errors.md').text, MEND).toBe(errorsPage(EXPLANATIONS, CODES, EXIT.CALL))
  })

  it('the dependencies, each with its reason', () => {
    const { dependencies = {}, devDependencies } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    )
    const { text } = pageOf('README.md')
    for (const name of Object.keys({ ...dependencies, ...devDependencies }))
      expect(text, name).toContain(`\`${name}\``)
  })
})

describe('the text', () => {
  it.each(pages.map((page) => [page.path, page] as const))(
    'of %s speaks of the project alone',
    (path, page) => {
      const foreign = [/\/work\//, /\/root\//, /\/home\/\w/, /\bTODO\b/, /\bFIXME\b/, /\bissues? #?\d/i]
      const hype = [
        /\bblazing/i,
        /\bseamless/i,
        /\bworld-class/i,
        /\brevolution/i,
        /\beffortless/i,
        /\bpowerful\b/i,
      ]
      // A peer's `session` is a word of the protocol.
      const words = path === 'PROTOCOL.md' ? [] : [/\bsessions?\b/i]
      for (const pattern of [...foreign, ...hype, ...words]) expect(page.text).not.toMatch(pattern)
    },
  )

  it('of the protocol stays readable in one go', () => {
    expect(pageOf('PROTOCOL.md').text.split('\n').length).toBeLessThan(500)
  })
})
