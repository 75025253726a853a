import { CALL_TIMEOUT_MS } from '../wire/limits.ts'
import type { Serving } from './call.ts'

/** @param end withdraws, the first time, and settles when nothing runs, after `graceMs` at the latest. */
export function serving(end: (graceMs: number) => Promise<void>): Serving {
  const withdraw: Serving['withdraw'] = ({ graceMs = CALL_TIMEOUT_MS } = {}) => end(graceMs)
  return Object.assign(() => void end(Number.POSITIVE_INFINITY), { withdraw })
}

/** Several that are withdrawn together. */
export function servingAll(all: readonly Serving[]): Serving {
  return serving((graceMs) => Promise.all(all.map((one) => one.withdraw({ graceMs }))).then(() => {}))
}
