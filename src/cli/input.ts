import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { messageOf } from '../host/errno.ts'
import { UsageError } from './failure.ts'
import { jsonFault } from './jsonFault.ts'

/** How much of the line around a fault is shown. */
const AROUND = 30

/**
 * A call's input: what `-d` names (JSON, `@file`, or `-` for stdin), with `key=value` words added. Without
 * either it is undefined.
 *
 * @throws UsageError when it is no JSON, with the place; when a file cannot be read; when a word has no `=`.
 */
export async function readInput(data: string | undefined, words: readonly string[]): Promise<unknown> {
  const given = data === undefined ? undefined : await readData(data)
  if (words.length === 0) return given
  const pairs = words.map(pairOf)
  if (given === undefined) return Object.fromEntries(pairs)
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new UsageError('key=value words can only be added to an object, and -d gives something else')
  }
  return Object.fromEntries([...Object.entries(given), ...pairs])
}

async function readData(data: string): Promise<unknown> {
  if (data === '-') return parse(await text(process.stdin), 'stdin')
  if (!data.startsWith('@')) return parse(data, '-d')
  const path = data.slice(1)
  let content: string
  try {
    content = readFileSync(path, 'utf8')
  } catch (error) {
    throw new UsageError(`cannot read the input: ${messageOf(error)}`)
  }
  return parse(content, path)
}

function parse(given: string, where: string): unknown {
  const content = given.startsWith('\ufeff') ? given.slice(1) : given
  const fault = jsonFault(content)
  if (!fault) return JSON.parse(content)
  const before = content.slice(0, fault.at)
  const line = before.split('\n').length
  const column = fault.at - (before.lastIndexOf('\n') + 1) + 1
  const lineText = content.split('\n')[line - 1] ?? ''
  const from = Math.max(0, column - 1 - AROUND)
  const shown = lineText.slice(from, column - 1 + AROUND).replace(/\t/g, ' ')
  const found = fault.at >= content.length ? 'the text ends' : `found ${JSON.stringify(content[fault.at])}`
  throw new UsageError(
    `${where} is no JSON: line ${line}, column ${column}: ${found}, expected ${fault.expected}\n` +
      `    ${shown}\n    ${' '.repeat(column - 1 - from)}^`,
  )
}

/** `key=value`: the value is JSON if it can be read so, else text; `key="5"` is the text 5. */
function pairOf(word: string): [string, unknown] {
  const at = word.indexOf('=')
  if (at <= 0) {
    throw new UsageError(
      `${JSON.stringify(word)} is no key=value`,
      'give JSON with -d, or words as n=3 name=Ann',
    )
  }
  const value = word.slice(at + 1)
  return [word.slice(0, at), value !== '' && !jsonFault(value) ? JSON.parse(value) : value]
}
