import { CODES } from '../../wire/errors.ts'
import { EXPLANATIONS, type Explanation, explanationOf } from '../explanations.ts'
import { EXIT, Failure } from '../failure.ts'
import { near } from '../near.ts'
import type { Output } from '../output.ts'
import { table } from '../table.ts'

/** What an error means and what to do; without a word, all of them. */
export async function explain(out: Output, word: string | undefined): Promise<void> {
  if (word === undefined) {
    if (out.json) return out.value(EXPLANATIONS.map(withExit))
    const lines = table<Explanation>(
      EXPLANATIONS,
      [
        { title: 'NAME', cell: ({ name }) => name },
        { title: 'KIND', cell: ({ kind }) => kind },
        { title: 'CODE', cell: ({ code }) => code },
        { title: 'EXIT', cell: ({ code }) => String(EXIT.CALL + CODES[code]), align: 'right' },
      ],
      (text) => out.style('bold', text),
    )
    for (const line of lines) await out.line(line)
    return
  }
  const found = explanationOf(word)
  if (!found) {
    const likely = near(
      word,
      EXPLANATIONS.map(({ name }) => name),
    ).map((name) => `did you mean ${name}?`)
    throw new Failure(
      `${word} is no code or reason of Viaduct; it may be an error that a contract of yours declares`,
      { next: [...likely, 'viaduct explain'] },
    )
  }
  if (out.json) return out.value(withExit(found))
  const { name, kind, code, what, causes, remedies } = found
  const title = out.style('bold', name)
  const exit = `a call that fails so ends with exit code ${EXIT.CALL + CODES[code]}`
  await out.line(
    kind === 'code'
      ? `${title}  code ${CODES[code]}; ${exit}`
      : `${title}  ${kindText(kind)} ${code}; ${exit}`,
  )
  await out.line(`\n${what}\n`)
  await out.line(list('Causes', causes))
  await out.line(list('What to do', remedies))
}

function kindText(kind: Explanation['kind']): string {
  return kind === 'close' ? 'end of a link, as an error of code' : 'reason of code'
}

function list(title: string, lines: readonly string[]): string {
  return [`${title}:`, ...lines.map((line) => `  - ${line}`)].join('\n')
}

function withExit(explanation: Explanation): object {
  return { ...explanation, exit: EXIT.CALL + CODES[explanation.code] }
}
