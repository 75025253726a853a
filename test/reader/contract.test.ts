import { expect, it } from 'vitest'
import { analysis, documents, history, pages, plugin } from '../../examples/reader/contract.ts'

it('names every method of the reader, and all that are answered may be called again', () => {
  const methods = [documents, pages, analysis, history, plugin].flatMap((each) => [
    ...each['~contract'].methods.values(),
  ])
  expect(methods.map(({ name, kind }) => `${name} ${kind}`)).toEqual([
    'documents.text stream',
    'documents.lines stream',
    'documents.list call',
    'pages.parse call',
    'pages.opened topic',
    'pages.progress topic',
    'analysis.analyze call',
    'history.append call',
    'history.recent call',
    'plugin.attempts call',
  ])
  const answered = methods.filter(({ kind, '~definition': { delivery } }) => kind === 'call' && !delivery)
  expect(answered.every(({ idempotent }) => idempotent)).toBe(true)
  expect(methods.filter((each) => each['~definition'].delivery).map(({ name }) => name)).toEqual([
    'history.append',
  ])
  expect(new Set(methods.map(({ fingerprint }) => fingerprint)).size).toBe(methods.length)
})
