/**
 * Shapes: ordered key lists of objects. The encoder finds a shape by walking an object's keys down a tree;
 * the decoder makes objects from a list of keys. Both sides keep what they learn only to be faster: what is
 * written depends on the value and the dictionary alone.
 */
import { MAX_SHAPE_KEYS } from './bodyTags.ts'
import * as TAG from './tag.ts'
import { isLatin1, utf8Bytes, writeLatin1, writeUtf8, writeUtf16 } from './text.ts'

/** Nodes that a tree may keep from body to body. */
const MAX_NODES = 4096

/** How objects with exactly these keys are written. */
export class Layout {
  /** Number in the dictionary, or -1. */
  readonly number: number
  /** With absent keys: how many stand before each key, and at last behind all; else undefined. */
  readonly gaps: readonly number[] | undefined
  /** What defines the shape in a body, tag included. */
  readonly definition: Uint8Array
  /** The body that defined it last, and the number it got there. */
  stamp = 0
  local = 0

  constructor(number: number, gaps: readonly number[] | undefined, definition: Uint8Array) {
    this.number = number
    this.gaps = gaps
    this.definition = definition
  }
}

/** The keys on the way from the root to here. */
export class ShapeNode {
  readonly parent: ShapeNode | undefined
  readonly key: string
  readonly depth: number
  /** Whether a shape of the dictionary holds these keys in order, perhaps with others between. */
  readonly expected: boolean
  /** The child that was taken last; `children` holds all, when there are more. */
  lastKey: string | undefined = undefined
  last: ShapeNode | undefined = undefined
  children: Map<string, ShapeNode> | undefined = undefined
  layout: Layout | undefined = undefined

  constructor(parent: ShapeNode | undefined, key: string, expected: boolean) {
    this.parent = parent
    this.key = key
    this.depth = parent === undefined ? 0 : parent.depth + 1
    this.expected = expected
  }
}

function keysOf(node: ShapeNode): string[] {
  const keys: string[] = []
  for (let at = node; at.parent !== undefined; at = at.parent) keys.push(at.key)
  return keys.reverse()
}

/** Finds layouts; one for each dictionary, and one for bodies without. */
export class ShapeTree {
  root: ShapeNode
  readonly #shapes: readonly (readonly string[])[]
  #nodes = 0

  constructor(shapes: readonly (readonly string[])[]) {
    this.#shapes = shapes
    this.root = new ShapeNode(undefined, '', shapes.length > 0)
  }

  /** To be called between bodies: forgets what many bodies of many shapes have left. */
  trim(): void {
    if (this.#nodes <= MAX_NODES) return
    this.root = new ShapeNode(undefined, '', this.#shapes.length > 0)
    this.#nodes = 0
  }

  /**
   * The node one key further. Undefined when there are too many keys for a shape, or when the body may
   * define no more shapes (`full`) and neither it nor the dictionary has one that goes on so.
   */
  step(node: ShapeNode, key: string, full: boolean): ShapeNode | undefined {
    const known = node.children === undefined ? undefined : node.children.get(key)
    const child = known ?? this.#grow(node, key, full)
    if (child === undefined) return undefined
    node.lastKey = key
    node.last = child
    return child
  }

  #grow(node: ShapeNode, key: string, full: boolean): ShapeNode | undefined {
    if (node.depth >= MAX_SHAPE_KEYS) return undefined
    let expected = node.expected
    if (expected) {
      const keys = [...keysOf(node), key]
      expected = this.#shapes.some((shape) => gapsIn(shape, keys) !== undefined)
    }
    if (full && !expected) return undefined
    const child = new ShapeNode(node, key, expected)
    this.#nodes += 1
    if (node.last === undefined) return child
    node.children ??= new Map([[node.last.key, node.last]])
    node.children.set(key, child)
    return child
  }

  layout(node: ShapeNode): Layout {
    node.layout ??= this.#find(keysOf(node))
    return node.layout
  }

  /** The shape with the fewest absent keys that holds these keys in order; the first of equals. */
  #find(keys: readonly string[]): Layout {
    let best = -1
    let bestGaps: number[] | undefined
    let fewest = Infinity
    for (const [number, shape] of this.#shapes.entries()) {
      const gaps = gapsIn(shape, keys)
      const absent = shape.length - keys.length
      if (gaps === undefined || absent >= fewest) continue
      best = number
      bestGaps = absent === 0 ? undefined : gaps
      fewest = absent
    }
    return new Layout(best, bestGaps, definitionOf(keys))
  }
}

function gapsIn(shape: readonly string[], keys: readonly string[]): number[] | undefined {
  const gaps: number[] = []
  let gap = 0
  let found = 0
  for (const key of shape) {
    if (found < keys.length && key === keys[found]) {
      gaps.push(gap)
      gap = 0
      found += 1
    } else gap += 1
  }
  gaps.push(gap)
  return found === keys.length ? gaps : undefined
}

/** The bytes that define a shape: tag, count, bytes of the keys, keys. */
function definitionOf(keys: readonly string[]): Uint8Array {
  const parts = keys.map(textBytes)
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  const head: number[] = [TAG.DEFINE, ...varint(keys.length), ...varint(length)]
  const bytes = new Uint8Array(head.length + length)
  bytes.set(head)
  let at = head.length
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

/** A string value's bytes. The encoder has a faster way that gives the same. */
function textBytes(text: string): Uint8Array {
  const latin1 = isLatin1(text)
  const narrow = latin1 ? text.length : utf8Bytes(text)
  const length = narrow < 0 ? 2 * text.length : narrow
  const tag = latin1 ? TAG.LATIN1 : narrow < 0 ? TAG.UTF16 : TAG.UTF8
  const head = latin1 && length < 64 ? [TAG.SHORT_TEXT | length] : [tag, ...varint(length)]
  const bytes = new Uint8Array(head.length + length)
  bytes.set(head)
  if (latin1) writeLatin1(bytes, head.length, text)
  else if (narrow < 0) writeUtf16(bytes, head.length, text)
  else writeUtf8(bytes, head.length, text)
  return bytes
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return bytes
}
