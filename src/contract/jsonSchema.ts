import { isObject } from '../wire/guards.ts'
import type { Json } from './fingerprint.ts'
import type { StandardSchema } from './schema.ts'

const TARGET = 'draft-2020-12'

/**
 * The JSON Schema of what travels, where the library gives one by Standard JSON Schema: `input` for what
 * the sender hands over before the receiver checks it, `output` for what was checked before it was sent.
 * Null where there is none; never throws.
 *
 * The answer depends on the canonical form alone: members of `properties` stand in the order of `required`,
 * then by name. So two sides with one fingerprint derive one dictionary from it, also when they wrote the
 * optional properties in another order.
 */
export function jsonSchemaOf(schema: StandardSchema | undefined, side: 'input' | 'output'): Json {
  if (schema === undefined) return null
  try {
    const standard: unknown = schema['~standard']
    if (!isObject(standard) || !('jsonSchema' in standard)) return null
    const converter: unknown = standard.jsonSchema
    if (!isObject(converter) || !(side in converter)) return null
    const convert: unknown = Reflect.get(converter, side)
    if (typeof convert !== 'function') return null
    // Zod gives up on the whole object for one Date or bigint unless told to leave that place open.
    const isZod = schema['~standard'].vendor === 'zod'
    const options = {
      target: TARGET,
      ...(isZod ? { libraryOptions: { unrepresentable: 'any' } } : undefined),
    }
    const text = JSON.stringify(Reflect.apply(convert, converter, [options]))
    return text === undefined ? null : ordered(JSON.parse(text))
  } catch {
    return null
  }
}

function ordered(value: Json): Json {
  if (!isObject(value)) return value
  if (isList(value)) return value.map(ordered)
  const copy: { [key: string]: Json } = Object.create(null)
  const names = Object.keys(value).sort()
  for (const name of names) copy[name] = ordered(value[name] ?? null)
  const { properties, required } = copy
  if (properties !== undefined && isList(required)) copy.properties = arranged(properties, required)
  return copy
}

/** The members with the required ones first, in the order that `required` gives. */
function arranged(members: Json, required: readonly Json[]): Json {
  if (!isObject(members) || isList(members)) return members
  const copy: { [key: string]: Json } = Object.create(null)
  for (const name of [...required, ...Object.keys(members)]) {
    if (typeof name === 'string' && Object.hasOwn(members, name)) copy[name] = members[name] ?? null
  }
  return copy
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}
