/** The documents as the tests see them: pages, their code fences, headings and links. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface Fence {
  readonly page: string
  /** Line of the page on which its code begins. */
  readonly line: number
  readonly language: string
  /** The words after the language: `js main.js run` is a file that is run, `text output` what it prints. */
  readonly words: readonly string[]
  readonly code: string
}

export interface Page {
  readonly path: string
  readonly text: string
  /** The text without code fences, for links and headings. */
  readonly prose: string
  readonly fences: readonly Fence[]
  /** Declarations that the page's snippets rest on: what stands in its `<!-- given … -->`. */
  readonly given: string
}

function readPage(path: string): Page {
  const text = readFileSync(join(ROOT, path), 'utf8')
  const fences: Fence[] = []
  const prose: string[] = []
  let open: { head: string; line: number; code: string[] } | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (open) {
      if (line === '```') {
        const [language = '', ...words] = open.head.split(' ')
        fences.push({ page: path, line: open.line, language, words, code: `${open.code.join('\n')}\n` })
        open = undefined
      } else open.code.push(line)
    } else if (line.startsWith('```')) open = { head: line.slice(3).trim(), line: index + 2, code: [] }
    else prose.push(line)
  }
  if (open) throw new Error(`${path}:${open.line}: a code fence has no end`)
  const given = [...text.matchAll(/<!-- given\n([\s\S]*?)-->/g)].map(([, code]) => code ?? '').join('\n')
  return { path, text, prose: prose.join('\n'), fences, given }
}

function below(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true })
    .map((name) => join(folder, String(name)).split('\\').join('/'))
    .filter((path) => path.endsWith('.md'))
    .sort()
}

/** What a reader of the project reads, all of it. */
export const pages: readonly Page[] = [
  'README.md',
  'ARCHITECTURE.md',
  'PROTOCOL.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...below('docs'),
].map(readPage)

/** The anchors of a page's headings, as repository browsers make them. */
export function anchorsOf({ prose }: Page): Set<string> {
  return new Set([...prose.matchAll(/^#{1,6} (.+)$/gm)].map(([, title]) => anchorOf(title ?? '')))
}

function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-')
}

/** The targets of a page's links that lead into the repository. */
export function linksOf({ prose }: Page): string[] {
  const inline = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '')
  return inline.filter((target) => !/^[a-z]+:/.test(target))
}
