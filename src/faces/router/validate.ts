/** Checks S0's messages field by field; wraps the body encoder for what can be sent, and how long it is. */

import { LANES } from '../../core/method.ts'
import { BodyEncoder } from '../../wire/body.ts'
import { isViaductError, ViaductError } from '../../wire/errors.ts'
import { CALL_TIMEOUT_MS, TRUSTED_MESSAGE_BYTES } from '../../wire/limits.ts'
import type { CompleteIPCMessage, IPCMessageType, IPCOptions } from './message.ts'

const MAX_NAME = 64
const MAX_METHOD = 256
const MAX_TIMEOUT_MS = 2 ** 31 - 1
/** Further tries that one message may ask for. */
export const MAX_RETRY_COUNT = 100
const UUID_V4 = /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/i
const METHOD = /^[\w-]+(\.[\w-]+)*$/
const TYPES: readonly string[] = ['request', 'response', 'notification', 'batch'] satisfies IPCMessageType[]
const KEYS = [
  ...['id', 'sequence', 'type', 'source', 'target', 'method', 'args', 'options'],
  ...['timestamp', 'processId', 'threadId'],
]
const OPTION_KEYS = ['timeout', 'priority', 'requiresResponse', 'retryCount']

export interface ValidationOptions {
  /** The methods that may be called; default: any name that is one. */
  readonly methods?: readonly string[]
}

/**
 * A message as it arrives, checked strictly and copied: every field is there and of its type, no other is, and the whole
 * can be sent and has at most 10 MiB. Options that are left out have their defaults.
 *
 * @throws ViaductError INVALID_ARGUMENT / INVALID_MESSAGE with the path of the fault, as `options.timeout`.
 */
export function validateIPCMessage(data: unknown, options: ValidationOptions = {}): CompleteIPCMessage {
  const message = readFields(data, options)
  let bytes: number
  try {
    const encoder = new BodyEncoder()
    bytes = encoder.encode(message).length
    for (const segment of encoder.segments) bytes += segment.length
  } catch (error) {
    if (!isViaductError(error)) throw error
    const path = (error.path ?? 'value').replace(/^value\.?/, '')
    throw invalid(path, error.message.replace(/^value[^:]*: /, ''))
  }
  if (bytes > TRUSTED_MESSAGE_BYTES) {
    throw invalid('args', `${bytes} bytes are over the limit of ${TRUSTED_MESSAGE_BYTES}`)
  }
  // Behind the encoder, which has refused cycles.
  refusePrototype(message.args, 'args')
  return message
}

/** The same of what a link has brought, and bounded. Throws as {@link validateIPCMessage}. */
export function readArrived(data: unknown, options: ValidationOptions): CompleteIPCMessage {
  const message = readFields(data, options)
  refusePrototype(message.args, 'args')
  return message
}

/** The fields alone, whatever the arguments hold. Throws as {@link validateIPCMessage}. */
export function readFields(data: unknown, { methods }: ValidationOptions = {}): CompleteIPCMessage {
  const field = fieldsOf(data, '', KEYS)
  const type = field('type')
  if (!isType(type)) throw invalid('type', `one of ${TYPES.join(', ')}`)
  const isBatch = type === 'batch'
  const target = field('target')
  const method = field('method')
  const message: CompleteIPCMessage = {
    id: text(field('id'), 'id', (id) => UUID_V4.test(id), 'a UUID v4'),
    sequence: whole(field('sequence'), 'sequence', 0),
    type,
    source: name(field('source'), 'source'),
    ...(target === undefined ? {} : { target: name(target, 'target') }),
    method: isBatch && method === undefined ? '' : readMethod(method, 'method', methods),
    args: list(field('args'), 'args'),
    options: readOptions(field('options'), type),
    timestamp: whole(field('timestamp'), 'timestamp', 0),
    processId: whole(field('processId'), 'processId', 0),
    threadId: whole(field('threadId'), 'threadId', 0),
  }
  if (isBatch) for (const [at, item] of message.args.entries()) readItem(item, `args[${at}]`, methods)
  return message
}

/** One item of a batch. Throws as {@link validateIPCMessage}. */
export function readItem(
  item: unknown,
  path: string,
  methods?: readonly string[],
): { method: string; args: unknown[] } {
  const field = fieldsOf(item, `${path}.`, ['method', 'args'])
  return {
    method: readMethod(field('method'), `${path}.method`, methods),
    args: list(field('args'), `${path}.args`),
  }
}

function readOptions(given: unknown, type: IPCMessageType): IPCOptions {
  const field = given === undefined ? () => undefined : fieldsOf(given, 'options.', OPTION_KEYS, 'options')
  const {
    timeout = CALL_TIMEOUT_MS,
    priority = 'normal',
    requiresResponse,
    retryCount = 0,
  } = {
    timeout: field('timeout'),
    priority: field('priority'),
    requiresResponse: field('requiresResponse') ?? type !== 'notification',
    retryCount: field('retryCount'),
  }
  if (typeof timeout !== 'number' || !(timeout > 0 && timeout <= MAX_TIMEOUT_MS)) {
    throw invalid('options.timeout', `milliseconds, over 0 and at most ${MAX_TIMEOUT_MS}`)
  }
  if (!isPriority(priority)) throw invalid('options.priority', 'one of high, normal, low')
  if (typeof requiresResponse !== 'boolean') throw invalid('options.requiresResponse', 'true or false')
  return {
    timeout,
    priority,
    requiresResponse,
    retryCount: whole(retryCount, 'options.retryCount', 0, MAX_RETRY_COUNT),
  }
}

/** Reads own data properties of a plain object that has no others than those named. */
function fieldsOf(
  data: unknown,
  prefix: string,
  keys: readonly string[],
  what = prefix.slice(0, -1) || 'message',
): (key: string) => unknown {
  const prototype: unknown =
    typeof data === 'object' && data !== null ? Object.getPrototypeOf(data) : undefined
  if (typeof data !== 'object' || data === null || (prototype !== Object.prototype && prototype !== null)) {
    throw invalid(what, 'a plain object')
  }
  for (const key of Reflect.ownKeys(data)) {
    if (typeof key !== 'string' || !keys.includes(key)) {
      throw invalid(
        `${prefix}${String(key).slice(0, MAX_NAME)}`,
        `there is no such field; there are ${keys.join(', ')}`,
      )
    }
  }
  return (key) => {
    const property = Object.getOwnPropertyDescriptor(data, key)
    if (property && !('value' in property)) throw invalid(`${prefix}${key}`, 'a value, not an accessor')
    return property?.value
  }
}

function text(value: unknown, path: string, accepts: (text: string) => boolean, expects: string): string {
  if (typeof value === 'string' && accepts(value)) return value
  throw invalid(path, expects)
}

function name(value: unknown, path: string): string {
  const accepts = (id: string): boolean => id !== '' && id.length <= MAX_NAME && !(id in Object.prototype)
  return text(value, path, accepts, `the id of a process: 1 to ${MAX_NAME} characters`)
}

/** The name of a method; those of every object, as `constructor`, are none. Throws as {@link validateIPCMessage}. */
export function readMethod(value: unknown, path: string, methods?: readonly string[]): string {
  const accepts = (method: string): boolean =>
    method.length <= MAX_METHOD &&
    METHOD.test(method) &&
    !method.split('.').some((part) => part in Object.prototype) &&
    (methods?.includes(method) ?? true)
  return text(value, path, accepts, methods ? 'a method that is registered' : 'a name as arq.executeCommand')
}

function whole(value: unknown, path: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw invalid(path, `a whole number from ${least}${most < Number.MAX_SAFE_INTEGER ? ` to ${most}` : ''}`)
}

function list(value: unknown, path: string): unknown[] {
  if (Array.isArray(value)) return value
  throw invalid(path, 'an array')
}

/** A key that would become the prototype of a careless copy. */
function refusePrototype(value: unknown, path: string): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) refusePrototype(item, `${path}[${index}]`)
  } else if (value instanceof Map || value instanceof Set) {
    for (const [key, inner] of value.entries()) {
      refusePrototype(key, path)
      refusePrototype(inner, path)
    }
  } else {
    for (const [key, inner] of Object.entries(value)) {
      if (key === '__proto__') throw invalid(`${path}.__proto__`, 'there is no such key')
      refusePrototype(inner, `${path}.${key}`)
    }
  }
}

function isType(value: unknown): value is IPCMessageType {
  return typeof value === 'string' && TYPES.includes(value)
}

function isPriority(value: unknown): value is IPCOptions['priority'] {
  return typeof value === 'string' && value !== 'control' && Object.hasOwn(LANES, value)
}

/** The error of a message that is not of its form. */
export function invalid(path: string, expects: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `IPCMessage: ${path}: ${expects}`, {
    reason: 'INVALID_MESSAGE',
    path,
  })
}
