// Wraps the schemas of the four families: their values as S1's messages, with its strings and its order of arguments.
import { elementUpdate } from '../../contract/elementUpdate.ts'
import { readShape, type Shape } from '../../contract/shape.ts'
import { ViaductError } from '../../wire/errors.ts'
import { UNTRUSTED_MESSAGE_BYTES } from '../../wire/limits.ts'
import type { Argument, ArgumentList } from './argumentList.ts'
import {
  aiAnalysisRequest,
  aiAnalysisResult,
  navigationComplete,
  navigationMessage,
  syncMessage,
} from './families.ts'
import { ProcessMessage } from './processMessage.ts'
import { spellingsOf } from './spellings.ts'

/** A family's value as a message, and back. */
export interface FamilyMessage<T> {
  /** As it is sent; its other spelling is read as well. */
  readonly name: string
  /** @throws ViaductError INVALID_ARGUMENT / INVALID_INPUT with the path to what does not fit the family. */
  create(value: T): ProcessMessage
  /** Under either of its names. Throws as `create`; also for a message of another name. */
  read(message: ProcessMessage): T
}

function form<T>(
  name: string,
  schema: Shape<T>,
  write: (value: T) => readonly Argument[],
  read: (args: ArgumentList, name: string) => unknown,
): FamilyMessage<T> {
  const checked = (value: unknown): T =>
    readShape(schema, value, {
      method: name,
      part: 'input',
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_INPUT',
    })
  return {
    name,
    create: (value) => ProcessMessage.from(name, write(checked(value))),
    read(message) {
      const given = message.getName()
      if (!spellingsOf(name).includes(given)) throw misfit('name', `${given} is no ${name}`)
      return checked(read(message.getArgumentList(), given))
    },
  }
}

export const familyMessages = {
  navigate: form(
    'navigate',
    navigationMessage,
    ({ url, tabId, newWindow, incognito }) => [url, tabId, newWindow, incognito],
    (args) => ({
      url: args.getString(0),
      tabId: args.getInt(1),
      newWindow: args.getBool(2),
      // S1 has the field and does not send it.
      incognito: args.getSize() > 3 && args.getBool(3),
    }),
  ),
  navigationComplete: form(
    'navigation_complete',
    navigationComplete,
    ({ finalUrl }) => [finalUrl],
    (args) => ({ finalUrl: args.getString(0) }),
  ),
  aiAnalyze: form(
    'ai_analyze',
    aiAnalysisRequest,
    ({ url, content, contentType, features }) => [
      JSON.stringify({ url, content, content_type: contentType, features }),
    ],
    (args, name) => {
      // Under this name S1 sends the two texts alone.
      if (name === 'ai_analyze_content') {
        return { url: args.getString(0), content: args.getString(1), contentType: '', features: [] }
      }
      const { content_type: contentType, ...request } = parsed(args)
      return { ...request, contentType }
    },
  ),
  aiResult: form('ai_result', aiAnalysisResult, (result) => [JSON.stringify(result)], parsed),
  uiUpdate: form(
    'ui_update',
    elementUpdate,
    ({ elementId, property, value }) => [elementId, property, value],
    (args) => ({ elementId: args.getString(0), property: args.getString(1), value: args.getString(2) }),
  ),
  dataSync: form(
    'data_sync',
    syncMessage,
    ({ dataType, action, data }) => [dataType, action, JSON.stringify(data)],
    (args) => ({ dataType: args.getString(0), action: args.getString(1), data: jsonOf(args.getString(2)) }),
  ),
} as const

/** Whether a message of one of the families has what its family has; others pass. */
export function fitsFamily(message: ProcessMessage): boolean {
  const spellings = spellingsOf(message.getName())
  const known = Object.values(familyMessages).find(({ name }) => spellings.includes(name))
  try {
    known?.read(message)
    return true
  } catch {
    return false
  }
}

function parsed(args: ArgumentList): { readonly [key: string]: unknown } {
  return Object(jsonOf(args.getString(0)))
}

function jsonOf(text: string): unknown {
  if (text.length > UNTRUSTED_MESSAGE_BYTES)
    throw misfit('arguments', 'JSON of over a mebibyte; call the contract')
  try {
    return JSON.parse(text)
  } catch {
    throw misfit('arguments', 'a text that is no JSON')
  }
}

function misfit(path: string, what: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `ProcessMessage: ${path}: ${what}`, {
    reason: 'INVALID_INPUT',
    path,
  })
}
