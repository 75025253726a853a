import { isReasonName } from '../wire/reasons.ts'
import type { Definition } from './definition.ts'
import { DURABLE_OPTIONS } from './durable.ts'
import { type Entry, misuse } from './entries.ts'
import { isSchema } from './schema.ts'

const COMMON = ['input', 'output', 'errors', 'progress', 'version', 'lane', 'compress', 'sealed', 'signed']
const OPTIONS = {
  call: [...COMMON, 'idempotent', 'delivery'],
  stream: [...COMMON, 'item', 'upload'],
  topic: ['data', 'overflow', 'lane', 'version'],
} as const satisfies { readonly [Kind in Definition['kind']]: readonly string[] }
const SCHEMAS = ['input', 'output', 'progress', 'item', 'upload', 'data']
const CODECS = ['sealed', 'signed', 'compress']

/**
 * What declares an entry, and says of a slip what it is: it would be found only when something goes unchecked, or
 * nobody answers.
 */
export function checking<Declare>(declare: Declare): Declare
export function checking(declare: (options: object) => Entry): (options: object) => Entry {
  return (options) => {
    const entry = declare(options)
    check(entry['~definition'], options)
    return entry
  }
}

function check(definition: Definition, options: object): void {
  const { kind, errors = {}, delivery, sealed, compress, item, upload, data } = definition
  const durable = kind === 'call' && delivery !== undefined
  const what = kind === 'call' ? `method()${durable ? ' with `delivery`' : ''}` : `${kind}()`
  const allowed: readonly string[] = durable ? DURABLE_OPTIONS : OPTIONS[kind]
  for (const [name, value] of Object.entries(options)) {
    if (!allowed.includes(name)) throw misuse(`${what} has no option ${JSON.stringify(name)}`, name)
    if (value === undefined) continue
    if (SCHEMAS.includes(name)) checkSchema(`${what}: \`${name}\``, value)
    const isPublic = name === 'compress' && value === 'public'
    if (CODECS.includes(name) && typeof value !== 'boolean' && !isPublic) {
      throw misuse(`${what}: \`${name}\` is no ${typeof value}`)
    }
  }
  if (durable && delivery !== 'at-least-once') {
    throw misuse("method(): `delivery` is 'at-least-once' or left out", 'delivery')
  }
  // The length of what is compressed tells of its content.
  if (sealed && compress === true) throw misuse(`${what}: with \`sealed\`, \`compress\` has to be 'public'`)
  for (const [name, schema] of Object.entries(errors)) {
    if (isReasonName(name)) throw misuse(`${what}: the error name ${name} is a link's own`)
    if (schema !== null) checkSchema(`${what}: error ${name}`, schema)
  }
  if (kind === 'stream' && !item && !upload) throw misuse('stream() needs `item`, `upload` or both')
  if (kind === 'topic' && !data) throw misuse('topic() needs `data`')
}

function checkSchema(what: string, schema: unknown): void {
  if (!isSchema(schema)) throw misuse(`${what} is no Standard Schema`)
}
