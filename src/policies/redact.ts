import { jsonSchemaOf } from '../contract/jsonSchema.ts'
import { isSchema } from '../contract/schema.ts'
import type { Method } from '../core/method.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import { describes, isMarked, marksNames, type Schemas, schemaAt, schemasOf } from './marks.ts'

const REDACTED = '[redacted]'
/** Stands for what a schema that marks something does not describe: it may be what is marked, misplaced. */
const UNDESCRIBED = '[not in the schema]'
/** What a shown value may have; the rest is left out and said so. */
const MAX_DEPTH = 6
const MAX_ENTRIES = 50
const MAX_TEXT = 200
/** Objects and lists of one value in all. */
const MAX_NODES = 1_000

type Part = 'input' | 'output'
/** Makes a copy of a value that may be shown to whoever reads a log. Never throws. */
export type Redactor = (method: Method, part: Part, value: unknown) => unknown

/** What is known of a part's schema: what it marks, undefined for nothing; `hidden`: nobody can say. */
type Marks = Schemas | undefined | 'hidden'

/**
 * Leaves out what the method's JSON Schemas mark as `writeOnly: true` or `format: 'password'`, and what the paths name;
 * `[]` in a path is every item of a list, `*` everything below: `input.users[].token`, `input.headers.*`. Of a value
 * whose schema marks anything, only what the schema describes is shown.
 */
export function redactor(paths: readonly string[]): Redactor {
  const named = paths.map(patternOf)
  const known = new WeakMap<Method, { [P in Part]: Marks }>()
  return (method, part, value) => {
    try {
      let marks = known.get(method)
      if (!marks) {
        marks = { input: marksOf(method, 'input'), output: marksOf(method, 'output') }
        known.set(method, marks)
      }
      const schemas = marks[part]
      if (schemas === 'hidden') return '[its schema gives no JSON Schema]'
      return new Copy(named).shown(value, part, schemas, 0)
    } catch {
      return '[unreadable]'
    }
  }
}

function marksOf(method: Method, part: Part): Marks {
  const schema = fieldOf(Reflect.get(method, '~definition'), part)
  if (!isSchema(schema)) return undefined
  const json = jsonSchemaOf(schema, part)
  // A library that knows marks could not tell of them.
  return json === null && 'jsonSchema' in schema['~standard'] ? 'hidden' : schemasOf(json)
}

function patternOf(path: string): RegExp {
  const escaped = path.replaceAll(/[$()+.?[\\\]^{|}]/g, '\\$&').replaceAll('*', '.*')
  return new RegExp(`^${escaped}$`, 's')
}

/** One value on its way into a log. */
class Copy {
  readonly #named: readonly RegExp[]
  #nodes = 0

  constructor(named: readonly RegExp[]) {
    this.#named = named
  }

  /** @param schemas what is said of this place; undefined when the schema marks nothing. */
  shown(value: unknown, path: string, schemas: Schemas | undefined, depth: number): unknown {
    if (this.#named.some((named) => named.test(path)) || (schemas && isMarked(schemas))) return REDACTED
    if (value === undefined || value === null) return value
    if (schemas && !describes(schemas, value)) return UNDESCRIBED
    if (typeof value === 'string') return clipped(value)
    if (typeof value === 'function') return '[function]'
    if (typeof value !== 'object') return value
    this.#nodes++
    if (depth >= MAX_DEPTH || this.#nodes > MAX_NODES) return '[…]'
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`
    if (value instanceof Date) return String(value)
    if (value instanceof Error) return `[${clipped(value.name)}]`
    // Entries of these have no path by which they could be named or marked.
    if (value instanceof Map || value instanceof Set) return `[${value.size} entries]`
    return Array.isArray(value)
      ? this.#items(value, path, schemas, depth)
      : this.#fields(value, path, schemas, depth)
  }

  #items(list: readonly unknown[], path: string, schemas: Schemas | undefined, depth: number): unknown {
    const items = list
      .slice(0, MAX_ENTRIES)
      .map((item, index) => this.shown(item, `${path}[]`, schemas && schemaAt(schemas, index), depth + 1))
    return list.length > MAX_ENTRIES ? [...items, `… ${list.length - MAX_ENTRIES} more`] : items
  }

  #fields(fields: object, path: string, schemas: Schemas | undefined, depth: number): unknown {
    const names = Object.keys(fields)
    if (schemas && marksNames(schemas)) return `[${names.length} entries]`
    const copy: { [key: string]: unknown } = {}
    const add = (name: string, value: unknown): void =>
      void Object.defineProperty(copy, clipped(name), { value, enumerable: true, configurable: true })
    for (const name of names.slice(0, MAX_ENTRIES)) {
      const below = schemas && schemaAt(schemas, name)
      add(name, this.shown(Reflect.get(fields, name), `${path}.${name}`, below, depth + 1))
    }
    if (names.length > MAX_ENTRIES) add('…', `${names.length - MAX_ENTRIES} more`)
    return copy
  }
}

function clipped(text: string): string {
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
}
