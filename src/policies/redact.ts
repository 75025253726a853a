import type { Json } from '../contract/fingerprint.ts'
import { jsonSchemaOf } from '../contract/jsonSchema.ts'
import { isSchema } from '../contract/schema.ts'
import type { Method } from '../core/method.ts'

const REDACTED = '[redacted]'
/** What a shown value may have; the rest is left out and said so. */
const MAX_DEPTH = 6
const MAX_ENTRIES = 50
const MAX_TEXT = 200

type Part = 'input' | 'output'
/** Makes a copy of a value that may be shown to whoever reads a log. */
export type Redactor = (method: Method, part: Part, value: unknown) => unknown

/**
 * Leaves out what the method's JSON Schemas mark as `writeOnly: true` or `format: 'password'`, and what the paths name;
 * `[]` in a path is every item of a list: `input.users[].token`.
 */
export function redactor(paths: readonly string[]): Redactor {
  const named = new Set(paths)
  const known = new WeakMap<Method, { [P in Part]: ReadonlySet<string> }>()
  return (method, part, value) => {
    let marked = known.get(method)
    if (!marked) {
      marked = { input: markedIn(method, 'input'), output: markedIn(method, 'output') }
      known.set(method, marked)
    }
    return shown(value, part, marked[part], named, 0)
  }
}

function shown(
  value: unknown,
  path: string,
  marked: ReadonlySet<string>,
  named: ReadonlySet<string>,
  depth: number,
): unknown {
  if (marked.has(path) || named.has(path)) return REDACTED
  if (typeof value === 'string') return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value
  if (typeof value === 'function') return '[function]'
  if (typeof value !== 'object' || value === null) return value
  if (depth >= MAX_DEPTH) return '[…]'
  if (Array.isArray(value)) {
    const items = value
      .slice(0, MAX_ENTRIES)
      .map((item) => shown(item, `${path}[]`, marked, named, depth + 1))
    return value.length > MAX_ENTRIES ? [...items, `… ${value.length - MAX_ENTRIES} more`] : items
  }
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`
  if (value instanceof Date || value instanceof Error) return String(value)
  // Entries of these have no path by which they could be named or marked.
  if (value instanceof Map || value instanceof Set) return `[${value.size} entries]`
  const copy: { [key: string]: unknown } = {}
  const entries = Object.entries(value)
  for (const [key, entry] of entries.slice(0, MAX_ENTRIES)) {
    Object.defineProperty(copy, key, {
      value: shown(entry, `${path}.${key}`, marked, named, depth + 1),
      enumerable: true,
    })
  }
  if (entries.length > MAX_ENTRIES) copy['…'] = `${entries.length - MAX_ENTRIES} more`
  return copy
}

/** Paths that a method's schema marks. */
function markedIn(method: Method, part: Part): ReadonlySet<string> {
  const paths = new Set<string>()
  const definition: unknown = Reflect.get(method, '~definition')
  const schema: unknown =
    typeof definition === 'object' && definition !== null ? Reflect.get(definition, part) : undefined
  if (isSchema(schema)) collect(jsonSchemaOf(schema, part), part, paths, 0)
  return paths
}

function collect(schema: Json | undefined, path: string, paths: Set<string>, depth: number): void {
  if (typeof schema !== 'object' || schema === null || depth > MAX_DEPTH) return
  if (isList(schema)) {
    for (const one of schema) collect(one, path, paths, depth)
    return
  }
  if (schema.writeOnly === true || schema.format === 'password') paths.add(path)
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    collect(property, `${path}.${name}`, paths, depth + 1)
  }
  collect(schema.items, `${path}[]`, paths, depth + 1)
  collect(schema.prefixItems, `${path}[]`, paths, depth + 1)
  for (const key of ['anyOf', 'oneOf', 'allOf']) collect(schema[key], path, paths, depth + 1)
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
