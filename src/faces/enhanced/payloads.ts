import { ViaductError } from '../../wire/errors.ts'
import { fieldOf } from '../../wire/fieldOf.ts'
import type { IPCMessage, IPCMessageOf, IPCMessageType } from './message.ts'

type Check = readonly [field: string, expects: string, holds: (value: unknown) => boolean]

const isText = (value: unknown): boolean => typeof value === 'string'
const isFlag = (value: unknown): boolean => typeof value === 'boolean'
const isWhole = (value: unknown): boolean => Number.isSafeInteger(value)

/** The fields that S2 shows for each of its types. */
const CHECKS = new Map<IPCMessageType, readonly Check[]>([
  [
    'task',
    [
      ['taskId', 'a whole number', isWhole],
      ['prompt', 'a text', isText],
      ['scheduleType', 'a text', isText],
    ],
  ],
  [
    'command',
    [
      ['command', 'a text', isText],
      ['args', 'an array of texts', (value) => Array.isArray(value) && value.every(isText)],
    ],
  ],
  [
    'response',
    [
      ['requestId', 'a text', isText],
      ['success', 'true or false', isFlag],
    ],
  ],
  [
    'error',
    [
      ['error', 'a text', isText],
      ['stack', 'a text, or absent', (value) => value === undefined || isText(value)],
      ['recoverable', 'true or false', isFlag],
    ],
  ],
  [
    'heartbeat',
    [
      ['processId', 'a whole number', isWhole],
      ['status', 'a text', isText],
    ],
  ],
])

/** Whether a message is of the type, and its payload is what S2 has for it. */
export function isOfType<Type extends IPCMessageType>(
  message: IPCMessage,
  type: Type,
): message is IPCMessageOf<Type> {
  return message.type === type && isPayload(type, message.payload)
}

/** Whether a payload is what S2 has for its type; of a type of your own, anything is. */
export function isPayload(type: IPCMessageType, payload: unknown): boolean {
  return faultOf(type, payload) === undefined
}

/** The error of one that is not: INVALID_ARGUMENT / INVALID_MESSAGE with the path of the fault, as `payload.taskId`. */
export function invalidPayload(type: IPCMessageType, payload: unknown): ViaductError {
  const [field, expects] = faultOf(type, payload) ?? ['', 'another message']
  return new ViaductError('INVALID_ARGUMENT', `IPCMessage of type ${type}: payload.${field}: ${expects}`, {
    reason: 'INVALID_MESSAGE',
    path: `payload.${field}`,
  })
}

function faultOf(type: IPCMessageType, payload: unknown): Check | undefined {
  return CHECKS.get(type)?.find(([field, , holds]) => !holds(fieldOf(payload, field)))
}
