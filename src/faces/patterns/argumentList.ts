// Wraps the input of a call: a list of values, read and written by their place, as CEF's list values are.
import { ViaductError } from '../../wire/errors.ts'

/** What an argument may be. */
export type Argument = null | boolean | number | string | Uint8Array | readonly Argument[]

const MAX_ARGUMENTS = 64
const MAX_LIST = 10_000
const MAX_NESTING = 8

/** The arguments of a message. What is not there, or of another type, is refused with its place, never made up. */
export class ArgumentList {
  readonly #values: Argument[]

  /** @throws ViaductError INVALID_ARGUMENT / INVALID_INPUT for what is no list of arguments. */
  constructor(values: unknown = []) {
    if (!Array.isArray(values) || values.length > MAX_ARGUMENTS) {
      throw misfit('arguments', `a list of at most ${MAX_ARGUMENTS}`)
    }
    this.#values = values.map((value: unknown, index) => {
      if (isArgument(value, MAX_NESTING)) return value
      throw misfit(place(index), 'null, a boolean, a number, a text, bytes, or a list of these')
    })
  }

  /** All of them, in order. */
  get values(): readonly Argument[] {
    return this.#values
  }

  getSize(): number {
    return this.#values.length
  }

  setNull(index: number): void {
    this.#set(index, null, isNull, 'null')
  }
  setBool(index: number, value: boolean): void {
    this.#set(index, value, isBool, 'a boolean')
  }
  getBool(index: number): boolean {
    return this.#get(index, isBool, 'a boolean')
  }
  setInt(index: number, value: number): void {
    this.#set(index, value, isInt, 'an integer')
  }
  getInt(index: number): number {
    return this.#get(index, isInt, 'an integer')
  }
  setDouble(index: number, value: number): void {
    this.#set(index, value, isDouble, 'a number')
  }
  getDouble(index: number): number {
    return this.#get(index, isDouble, 'a number')
  }
  setString(index: number, value: string): void {
    this.#set(index, value, isText, 'a text')
  }
  getString(index: number): string {
    return this.#get(index, isText, 'a text')
  }
  setBinary(index: number, value: Uint8Array): void {
    this.#set(index, value, isBytes, 'bytes')
  }
  getBinary(index: number): Uint8Array {
    return this.#get(index, isBytes, 'bytes')
  }
  setList(index: number, value: readonly Argument[]): void {
    this.#set(index, value, isList, 'a list')
  }
  getList(index: number): readonly Argument[] {
    return this.#get(index, isList, 'a list')
  }

  #get<T>(index: number, fits: (value: unknown) => value is T, expects: string): T {
    const value: unknown = this.#values[index]
    if (fits(value)) return value
    throw misfit(place(index), expects)
  }

  /** Places that are left out before it are null. */
  #set<T extends Argument>(
    index: number,
    value: T,
    fits: (value: unknown) => value is T,
    expects: string,
  ): void {
    if (!Number.isInteger(index) || index < 0 || index >= MAX_ARGUMENTS) {
      throw misfit(place(index), `at a place from 0 to ${MAX_ARGUMENTS - 1}`)
    }
    if (!fits(value)) throw misfit(place(index), expects)
    while (this.#values.length < index) this.#values.push(null)
    this.#values[index] = value
  }
}

function isNull(value: unknown): value is null {
  return value === null
}
function isBool(value: unknown): value is boolean {
  return typeof value === 'boolean'
}
function isInt(value: unknown): value is number {
  return Number.isSafeInteger(value)
}
function isDouble(value: unknown): value is number {
  return typeof value === 'number'
}
function isText(value: unknown): value is string {
  return typeof value === 'string'
}
function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array
}
function isList(value: unknown): value is readonly Argument[] {
  return Array.isArray(value) && isArgument(value, MAX_NESTING)
}

function isArgument(value: unknown, depth: number): value is Argument {
  if (isNull(value) || isBool(value) || isDouble(value) || isText(value) || isBytes(value)) return true
  if (!Array.isArray(value) || value.length > MAX_LIST || depth === 0) return false
  return value.every((one) => isArgument(one, depth - 1))
}

function place(index: number): string {
  return `arguments[${index}]`
}

function misfit(path: string, expects: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `${path}: expected ${expects}`, {
    reason: 'INVALID_INPUT',
    path,
  })
}
