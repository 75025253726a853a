import type { Json } from '../contract/fingerprint.ts'

type Node = { readonly [key: string]: Json }

/** All that a JSON Schema says of one place of a value: each branch of a union, what is referred to. */
export interface Schemas {
  readonly nodes: ReadonlySet<Node>
  readonly root: Json
}

const BRANCHES = ['anyOf', 'oneOf', 'allOf', 'if', 'then', 'else'] as const
/** A node that has one of these, and no type, says nothing of texts and numbers by itself. */
const STRUCTURE = [...BRANCHES, '$ref', 'properties', 'additionalProperties', 'items', 'prefixItems'] as const

/** What a schema says of the whole value; undefined when it marks nothing anywhere. */
export function schemasOf(root: Json): Schemas | undefined {
  return marksSomething(root) ? all([root], root) : undefined
}

/** What is said of a property or an item. */
export function schemaAt({ nodes, root }: Schemas, key: string | number): Schemas {
  const below = [...nodes].flatMap((node) =>
    typeof key === 'number' ? itemOf(node, key) : fieldOf(node, key),
  )
  return all(below, root)
}

/** Whether one branch says that the value here is for nobody's eyes. */
export function isMarked({ nodes }: Schemas): boolean {
  return [...nodes].some(isMark)
}

/** Whether one says it of the names of properties here. */
export function marksNames({ nodes, root }: Schemas): boolean {
  return [...nodes].some(
    ({ propertyNames }) => propertyNames !== undefined && isMarked(all([propertyNames], root)),
  )
}

/** Whether one branch speaks of values of this kind. */
export function describes({ nodes }: Schemas, value: unknown): boolean {
  const types = typesOf(value)
  return [...nodes].some((node) => {
    const { type } = node
    if (isList(type)) return type.some((one) => types.includes(String(one)))
    if (type !== undefined) return types.includes(String(type))
    return !STRUCTURE.some((key) => Object.hasOwn(node, key))
  })
}

function typesOf(value: unknown): readonly string[] {
  if (Array.isArray(value)) return ['array']
  if (typeof value === 'number') return ['number', 'integer']
  return [typeof value]
}

function all(schemas: readonly Json[], root: Json): Schemas {
  const nodes = new Set<Node>()
  for (const schema of schemas) expand(schema, root, nodes)
  return { nodes, root }
}

function expand(schema: Json | undefined, root: Json, nodes: Set<Node>): void {
  if (isList(schema)) {
    for (const one of schema) expand(one, root, nodes)
    return
  }
  if (typeof schema !== 'object' || schema === null || nodes.has(schema)) return
  nodes.add(schema)
  if (typeof schema.$ref === 'string') expand(referredTo(schema.$ref, root), root, nodes)
  for (const key of BRANCHES) expand(schema[key], root, nodes)
}

/** What `#/$defs/user` names. */
function referredTo(reference: string, root: Json): Json | undefined {
  if (!reference.startsWith('#')) return undefined
  let found: Json | undefined = root
  for (const part of reference.slice(1).split('/').slice(1)) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')
    if (isList(found)) found = found[Number(key)]
    else if (typeof found === 'object' && found !== null && Object.hasOwn(found, key)) found = found[key]
    else return undefined
  }
  return found
}

function fieldOf(node: Node, name: string): Json[] {
  const { properties, patternProperties, additionalProperties, unevaluatedProperties } = node
  if (isNode(properties) && Object.hasOwn(properties, name)) return [properties[name] ?? null]
  const patterns = isNode(patternProperties) ? Object.values(patternProperties) : []
  return [...patterns, additionalProperties ?? null, unevaluatedProperties ?? null]
}

function itemOf({ prefixItems, items, contains, unevaluatedItems }: Node, index: number): Json[] {
  const own = isList(prefixItems) ? prefixItems[index] : undefined
  return own === undefined ? [items ?? null, contains ?? null, unevaluatedItems ?? null] : [own]
}

function marksSomething(schema: Json): boolean {
  if (isList(schema)) return schema.some(marksSomething)
  return isNode(schema) && (isMark(schema) || Object.values(schema).some(marksSomething))
}

function isMark({ writeOnly, format }: Node): boolean {
  return writeOnly === true || format === 'password'
}

function isNode(value: Json | undefined): value is Node {
  return typeof value === 'object' && value !== null && !isList(value)
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}
