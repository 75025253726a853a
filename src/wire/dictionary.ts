import { MAX_SHAPE_KEYS } from './bodyTags.ts'
import { isObject } from './guards.ts'
import { Maker } from './shapeMaker.ts'
import { ShapeTree } from './shapes.ts'

/**
 * The words that both sides of a method already have: the shapes (ordered key lists) of its objects.
 * Derived from the contract, so neither side keeps state for the other and a hub needs none. Made by
 * {@link makeDictionary}.
 */
export interface Dictionary {
  /** Each shape is an ordered list of property names; its place is its number on the wire. */
  readonly shapes: readonly (readonly string[])[]
  /** For the encoder: finds an object's shape. */
  readonly tree: ShapeTree
  /** For the decoder: makes objects, one maker for each shape. */
  readonly makers: readonly Maker[]
}

/**
 * A dictionary of these shapes, numbered as they come. Throws a TypeError on a shape with a key twice or
 * with more than MAX_SHAPE_KEYS keys.
 */
export function makeDictionary(shapes: readonly (readonly string[])[]): Dictionary {
  for (const shape of shapes) {
    if (shape.length > MAX_SHAPE_KEYS) throw new TypeError(`a shape has over ${MAX_SHAPE_KEYS} keys`)
    if (new Set(shape).size !== shape.length) throw new TypeError(`a shape has a key twice: ${shape.join()}`)
  }
  const copies = shapes.map((shape) => [...shape])
  return {
    shapes: copies,
    tree: new ShapeTree(copies),
    makers: copies.map((shape) => new Maker(shape, true)),
  }
}

/** Where schemas may stand in a schema: alone or in a list, and by name. */
const NESTED = [
  'additionalItems',
  'additionalProperties',
  'allOf',
  'anyOf',
  'contains',
  'else',
  'items',
  'oneOf',
  'prefixItems',
  'then',
  'unevaluatedProperties',
] as const
const NAMED = ['dependentSchemas', 'patternProperties', 'properties'] as const
const MAX_SCHEMAS = 10_000
const MAX_SCHEMA_DEPTH = 64
const MAX_SHAPES = 256
const MAX_PARTS = 64

/**
 * The shapes of a JSON Schema: the property names, as declared, of every object schema that a value of it
 * may hold, without repetitions. The outer come before the inner; of one schema, keywords and names go in
 * alphabetical order and lists in theirs, so that only the order of the properties of one object depends
 * on how the schema was written. The parts of an `allOf` give a shape each and one together. Local `$ref`s
 * are followed, once each. What is over 256 shapes, 64 keys, 64 levels or 10,000 schemas is left out.
 */
export function shapesOf(jsonSchema: unknown): string[][] {
  const collector = new Collector(jsonSchema)
  collector.visit(jsonSchema, 0)
  return collector.shapes
}

class Collector {
  readonly shapes: string[][] = []
  readonly #root: unknown
  readonly #names = new Set<string>()
  readonly #visited = new Set<object>()

  constructor(root: unknown) {
    this.#root = root
  }

  visit(schema: unknown, depth: number): void {
    if (Array.isArray(schema)) {
      for (const each of schema) this.visit(each, depth)
      return
    }
    if (!isSchema(schema) || this.#visited.has(schema)) return
    if (depth > MAX_SCHEMA_DEPTH || this.#visited.size >= MAX_SCHEMAS) return
    this.#visited.add(schema)
    this.#add(this.#properties(schema))
    this.visit(this.#target(schema), depth + 1)
    for (const keyword of NESTED) this.visit(own(schema, keyword), depth + 1)
    for (const keyword of NAMED) {
      const named = own(schema, keyword)
      if (!isSchema(named)) continue
      for (const name of Object.keys(named).sort()) this.visit(own(named, name), depth + 1)
    }
  }

  #add(shape: string[]): void {
    const name = JSON.stringify(shape)
    if (shape.length === 0 || shape.length > MAX_SHAPE_KEYS || this.#names.has(name)) return
    if (this.shapes.length >= MAX_SHAPES) return
    this.#names.add(name)
    this.shapes.push(shape)
  }

  /** Names of the schema's own properties and, behind them, those of the parts of its allOf. */
  #properties(schema: Schema): string[] {
    const names = new Set<string>()
    // A set of what is still to be seen: it grows while it is gone through, and takes nothing twice.
    const parts = new Set([schema])
    for (const part of parts) {
      const properties = own(part, 'properties')
      if (isSchema(properties)) for (const name of Object.keys(properties)) names.add(name)
      const more = own(part, 'allOf')
      const reference = part === schema ? undefined : this.#target(part)
      for (const each of [reference, ...(Array.isArray(more) ? more : [])]) {
        if (isSchema(each) && parts.size < MAX_PARTS) parts.add(each)
      }
    }
    return [...names]
  }

  /** What a `$ref` into this document points to. */
  #target(schema: Schema): unknown {
    const reference = own(schema, '$ref')
    if (typeof reference !== 'string' || !reference.startsWith('#')) return undefined
    if (reference === '#') return this.#root
    let at: unknown = this.#root
    for (const part of reference.split('/').slice(1)) {
      if (Array.isArray(at)) at = at[Number(part)]
      else at = isSchema(at) ? own(at, part.replaceAll('~1', '/').replaceAll('~0', '~')) : undefined
    }
    return at
  }
}

type Schema = Record<string, unknown>

function isSchema(value: unknown): value is Schema {
  return isObject(value) && !Array.isArray(value)
}

function own(schema: Schema, key: string): unknown {
  return Object.hasOwn(schema, key) ? schema[key] : undefined
}
