/** vectors/values.json, for whatever reads and writes bodies. */
import { readFileSync } from 'node:fs'

export interface ValueCase {
  name: string
  value: unknown
  hex: string
  shapes?: string[][]
  shapedHex?: string
  segments?: unknown[]
  maxDepth?: number
  maxKeys?: number
  needs?: string
  path?: string
}

export const vectors: {
  values: ValueCase[]
  accepted: ValueCase[]
  bad: ValueCase[]
  unsendable: ValueCase[]
} = JSON.parse(readFileSync(new URL('../../vectors/values.json', import.meta.url), 'utf8'))

/** What it throws; undefined when it does not. */
export function thrownBy(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}
