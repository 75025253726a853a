import type { CallOptions, PeerInfo } from '../../src/core/call.ts'
import { type Method, untyped } from '../../src/core/method.ts'
import type { CallContext, IncomingCall, OutgoingCall, Target } from '../../src/index.ts'

/** A call as a policy sees it, at either side. */
export function outgoing(
  input: unknown,
  options: CallOptions = {},
  more: { method?: Method; target?: Target; oneWay?: boolean } = {},
): OutgoingCall {
  const { method = untyped('pages.analyze'), target, oneWay = false } = more
  return { side: 'caller', method, input, options, oneWay, target }
}

export function incoming(
  input: unknown,
  id: string,
  { signal = new AbortController().signal, method = untyped('pages.analyze') } = {},
): IncomingCall {
  const peer: PeerInfo = { id, type: id, zone: 'trusted', session: '' }
  const context: CallContext = {
    signal,
    peer,
    timeLeftMs: Number.POSITIVE_INFINITY,
    deadline: Number.POSITIVE_INFINITY,
    upload: (async function* () {})(),
    progress: () => {},
  }
  return { side: 'callee', method, input, context }
}

/** A promise that a test settles. */
export function later<T = unknown>() {
  let resolve: (value: T) => void = () => {}
  let reject: (error: unknown) => void = () => {}
  const promise = new Promise<T>((settle, fail) => {
    resolve = settle
    reject = fail
  })
  return { promise, resolve, reject }
}
