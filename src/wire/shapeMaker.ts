/** Makes plain objects from a list of keys. */

/** What a reader gives for a key that the sender's object did not have. */
export const ABSENT: unique symbol = Symbol('absent')

type Read = (depth: number) => unknown
type Make = (read: Read, depth: number) => object
type Build = (values: readonly unknown[]) => object

/** Patterns of absent keys that code is made for, for each shape. */
const MAX_PATTERNS = 32
/** Keys of a shape whose patterns fit in a small integer. */
const MAX_PATTERN_KEYS = 30
const ROOT: object = Object.prototype
/** A content security policy said no: asking again would only fill its report. */
let forbidden = false

/** Gives the object an own property, without ever reaching its prototype. */
export function setField(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key in ROOT) {
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
  } else object[key] = value
}

/** Makes objects of one shape. */
export class Maker {
  readonly keys: readonly string[]
  /** Reads the value of each key and makes the object. */
  make: Make
  /** No key is one that Object.prototype knows, so plain assignment makes own properties. */
  readonly #ordinary: boolean
  readonly #patterns = new Map<number, Build>()

  /** `compiled`: the keys are the program's own, so that code may be made for them where that is allowed. */
  constructor(keys: readonly string[], compiled = false) {
    this.keys = keys
    this.#ordinary = keys.every((key) => !(key in ROOT))
    const plain: Make = (read, depth) => this.#assemble(read, depth)
    // Contracts name more shapes than a program meets, so code is made for a shape when it is first met.
    const first: Make = (read, depth) => {
      this.make = compile(keys, (values) => this.#sparse(values)) ?? plain
      return this.make(read, depth)
    }
    this.make = compiled ? first : plain
  }

  #assemble(read: Read, depth: number): object {
    const keys = this.keys
    const object: Record<string, unknown> = {}
    for (let index = 0; index < keys.length; index += 1) {
      const value = read(depth)
      if (value === ABSENT) continue
      if (this.#ordinary) object[keys[index] as string] = value
      else setField(object, keys[index] as string, value)
    }
    return object
  }

  /** An object of which some keys are absent. Peers repeat themselves: few patterns serve most messages. */
  #sparse(values: readonly unknown[]): object {
    if (values.length > MAX_PATTERN_KEYS) return this.#collect(values)
    let pattern = 0
    for (let index = 0; index < values.length; index += 1) {
      if (values[index] === ABSENT) pattern |= 1 << index
    }
    let build = this.#patterns.get(pattern)
    if (build === undefined) {
      if (this.#patterns.size >= MAX_PATTERNS) return this.#collect(values)
      build = compilePattern(this.keys, pattern) ?? ((all) => this.#collect(all))
      this.#patterns.set(pattern, build)
    }
    return build(values)
  }

  #collect(values: readonly unknown[]): object {
    let index = 0
    return this.#assemble(() => values[index++], 0)
  }
}

function literal(keys: readonly string[], value: (index: number) => string): string {
  return `{ ${keys.map((key, index) => `[${JSON.stringify(key)}]: ${value(index)}`).join(', ')} }`
}

/** A maker as an object literal, which is several times faster; undefined where code may not be made. */
function compile(keys: readonly string[], sparse: Build): Make | undefined {
  const names = keys.map((_, index) => `v${index}`)
  const absent = names.map((name) => `${name} === ABSENT`)
  const make = evaluate(
    `(read, depth) => {
      ${names.map((name) => `const ${name} = read(depth)`).join('\n')}
      if (${absent.join(' || ') || 'false'}) return sparse([${names.join(', ')}])
      return ${literal(keys, (index) => `v${index}`)}
    }`,
    sparse,
  )
  return isMake(make) ? make : undefined
}

function compilePattern(keys: readonly string[], pattern: number): Build | undefined {
  const present = keys.map((_, index) => index).filter((index) => (pattern & (1 << index)) === 0)
  const names = present.map((index) => keys[index] ?? '')
  const build = evaluate(`(values) => (${literal(names, (index) => `values[${present[index]}]`)})`, undefined)
  return isBuild(build) ? build : undefined
}

/** The value of an expression over ABSENT and `sparse`; undefined where a policy forbids to make code. */
function evaluate(expression: string, sparse: Build | undefined): unknown {
  if (forbidden) return undefined
  try {
    return new Function('ABSENT', 'sparse', `'use strict'; return ${expression}`)(ABSENT, sparse)
  } catch {
    forbidden = true
    return undefined
  }
}

function isMake(value: unknown): value is Make {
  return typeof value === 'function'
}

function isBuild(value: unknown): value is Build {
  return typeof value === 'function'
}
