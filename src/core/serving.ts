import { CALL_TIMEOUT_MS } from '../wire/limits.ts'
import type { Handler, Server, Serving } from './call.ts'
import type { Method } from './method.ts'

/** @param end withdraws, the first time, and settles when nothing runs, after `graceMs` at the latest. */
export function serving(end: (graceMs: number) => Promise<void>): Serving {
  const withdraw: Serving['withdraw'] = ({ graceMs = CALL_TIMEOUT_MS } = {}) => end(graceMs)
  return Object.assign(() => void end(Number.POSITIVE_INFINITY), { withdraw })
}

/** Several that are withdrawn together. */
function servingAll(all: readonly Serving[]): Serving {
  return serving((graceMs) => Promise.all(all.map((one) => one.withdraw({ graceMs }))).then(() => {}))
}

/** Serves all of them, each where it says or else at `server`, or none when one cannot be served. */
export function handleAll(
  server: Server,
  served: Iterable<readonly [Method, Handler, at?: Server]>,
): Serving {
  const all: Serving[] = []
  try {
    for (const [method, handler, at = server] of served) all.push(at.handle(method, handler))
  } catch (error) {
    for (const one of all) one()
    throw error
  }
  return servingAll(all)
}
