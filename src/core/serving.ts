import { CALL_TIMEOUT_MS } from '../wire/limits.ts'
import type { Handler, Server, Serving, WithdrawOptions } from './call.ts'
import type { Method } from './method.ts'

/** @param end withdraws, the first time, and settles when nothing runs, after `graceMs` at the latest. */
export function serving(end: (graceMs: number) => Promise<unknown>): Serving {
  return Object.assign(() => void end(Infinity), {
    async withdraw({ graceMs = CALL_TIMEOUT_MS }: WithdrawOptions = {}) {
      await end(graceMs)
    },
  })
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
  return serving((graceMs) => Promise.all(all.map((one) => one.withdraw({ graceMs }))))
}
