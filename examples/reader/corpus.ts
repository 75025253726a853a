import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CATEGORIES } from './schemas.ts'

export type Category = (typeof CATEGORIES)[number]
export interface Labelled {
  readonly category: Category
  readonly name: string
  readonly text: string
}

/** The folder of the package, found from here whether this runs as source or built. */
export function packageRoot(from: string = dirname(fileURLToPath(import.meta.url))): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder
    if (dirname(folder) === folder)
      throw new Error(`no package.json above ${from}; run the reader from its repository`)
  }
}

export function corpusFolder(root: string = packageRoot()): string {
  return join(root, 'examples', 'reader', 'corpus')
}

/** The passages the categories are learned from: one file a category, blank lines between passages. */
export function trainingPassages(folder: string = corpusFolder()): Labelled[] {
  return CATEGORIES.flatMap((category) =>
    readFileSync(join(folder, `${category}.txt`), 'utf8')
      .split(/\r?\n[ \t]*\r?\n/)
      .map((text) => text.trim())
      .filter((text) => text !== '')
      .map((text, index) => ({ category, name: `${category} ${index + 1}`, text })),
  )
}

/** Documents to measure with, named `<category>-<name>.md`. Nothing is ever learned from them. */
export function labelledDocuments(folder: string = join(corpusFolder(), 'labelled')): Labelled[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.md'))
    .sort()
    .map((file) => {
      const category = CATEGORIES.find((each) => file.startsWith(`${each}-`))
      if (category === undefined) throw new Error(`${file} does not begin with a category; rename it`)
      return { category, name: file, text: readFileSync(join(folder, file), 'utf8') }
    })
}
