// Wraps `contract`: the four message families of S1 as one contract each.
import { contract, method, topic } from '../../contract/contract.ts'
import { elementUpdate } from '../../contract/elementUpdate.ts'
import type { OutputOf } from '../../contract/schema.ts'
import { flag, integer, json, listOf, mapOf, number, oneOf, record, text } from '../../contract/shape.ts'
import { TRUSTED_MESSAGE_BYTES } from '../../wire/limits.ts'

/** Characters of an address. */
const URL_CHARACTERS = 65_536
const WORD_CHARACTERS = 1_000
const MAX_WORDS = 10_000

const url = text(URL_CHARACTERS)
const word = text(WORD_CHARACTERS)

export const navigationMessage = record({ url, tabId: integer(), newWindow: flag(), incognito: flag() })
export const navigationComplete = record({ finalUrl: url })
export const aiAnalysisRequest = record({
  url,
  content: text(TRUSTED_MESSAGE_BYTES),
  contentType: word,
  features: listOf(word, MAX_WORDS),
})
export const aiAnalysisResult = record({
  url,
  category: word,
  confidence: number(0, 1),
  entities: listOf(word, MAX_WORDS),
  sentiments: mapOf(number(), MAX_WORDS),
})
export const syncMessage = record({
  dataType: oneOf('bookmarks', 'history', 'settings'),
  action: oneOf('add', 'update', 'delete'),
  data: json(),
})

export type NavigationMessage = OutputOf<typeof navigationMessage>
export type NavigationComplete = OutputOf<typeof navigationComplete>
export type AIAnalysisRequest = OutputOf<typeof aiAnalysisRequest>
export type AIAnalysisResult = OutputOf<typeof aiAnalysisResult>
export type UIUpdateMessage = OutputOf<typeof elementUpdate>
export type SyncMessage = OutputOf<typeof syncMessage>

/** Browser to renderer: go there; renderer to browser: it is there. */
export const navigation = contract('navigation', {
  navigate: method({ input: navigationMessage }),
  complete: method({ input: navigationComplete }),
})

/** Content to its analysis; `result` for those who follow what others asked. */
export const ai = contract('ai', {
  analyze: method({ input: aiAnalysisRequest, output: aiAnalysisResult, idempotent: true }),
  result: topic({ data: aiAnalysisResult }),
})

/** Browser to renderer: one property of one element, as data; answered with whether it was there to change. */
export const ui = contract('ui', {
  update: method({ input: elementUpdate, output: flag(), idempotent: true }),
})

/** To all renderers: a change of shared data. Who falls behind is told instead of missing one. */
export const sync = contract('sync', {
  data: topic({ data: syncMessage, overflow: 'error' }),
})
