import type { PeerOptions } from '../../src/core/linkCore.ts'
import { untyped } from '../../src/core/method.ts'
import { PeerCore } from '../../src/core/peer.ts'
import {
  type FaultLink,
  type FaultOptions,
  faultLink,
  type Side,
  VirtualClock,
} from '../../src/testing/index.ts'
import { isViaductError, ViaductError } from '../../src/wire/errors.ts'
import * as FLAG from '../../src/wire/flag.ts'
import { readU16, readU32 } from '../../src/wire/frame.ts'
import * as AT from '../../src/wire/headerAt.ts'
import * as KIND from '../../src/wire/kind.ts'

/** One frame as it was sent. */
export interface Sent {
  readonly from: Side
  readonly kind: number
  readonly flags: number
  readonly method: number
  readonly id: number
  readonly route: number
  readonly timeLeft: number
  readonly window: number
  readonly payloadBytes: number
  /** Bytes of payload in this frame, without padding. */
  readonly cost: number
}

export interface Rig {
  readonly clock: VirtualClock
  readonly link: FaultLink
  /** Calls. */
  readonly near: PeerCore
  /** Answers. */
  readonly far: PeerCore
  readonly sent: Sent[]
  readonly writes: { from: Side; bytes: number }[]
  of(kind: number, from?: Side): Sent[]
}

/** Two peers over a link that does what the test wants, in virtual time. */
export function rig(
  options: Omit<FaultOptions, 'clock' | 'onFrame' | 'onWrite'> & {
    readonly near?: Partial<PeerOptions>
    readonly far?: Partial<PeerOptions>
  } = {},
): Rig {
  const clock = new VirtualClock(1000)
  const sent: Sent[] = []
  const writes: { from: Side; bytes: number }[] = []
  const link = faultLink({
    ...options,
    clock,
    onFrame: (from, frame) => sent.push(read(from, frame)),
    onWrite: (from, bytes) => writes.push({ from, bytes }),
  })
  const near = new PeerCore(link.ends[0], { clock, ...options.near })
  const far = new PeerCore(link.ends[1], { clock, ...options.far })
  const of = (kind: number, from?: Side): Sent[] =>
    sent.filter((frame) => frame.kind === kind && (from === undefined || frame.from === from))
  return { clock, link, near, far, sent, writes, of }
}

function read(from: Side, frame: Uint8Array): Sent {
  const flags = frame[AT.flags] ?? 0
  const payloadBytes = readU32(frame, AT.payloadBytes)
  const kind = frame[AT.kind] ?? 0
  const first = (flags & FLAG.MORE) !== 0 && kind !== KIND.FRAGMENT
  return {
    from,
    kind,
    flags,
    method: readU16(frame, AT.method),
    id: readU32(frame, AT.id),
    route: readU32(frame, AT.route),
    timeLeft: readU32(frame, AT.timeLeft),
    window: readU32(frame, AT.window),
    payloadBytes,
    cost: first ? frame.length - 32 : payloadBytes,
  }
}

export const echo = untyped('t.echo')
export const slow = untyped('t.slow')
export const list = untyped('t.list', 'stream')
export const put = untyped('t.put', 'call', true)
export const both = untyped('t.both', 'stream', true)

/** What a promise settles with: its value, or the error's reason behind a `!`. */
export async function outcome(promise: PromiseLike<unknown>): Promise<unknown> {
  try {
    return await promise
  } catch (error) {
    return isViaductError(error) ? `!${error.reason}` : error
  }
}

/** The ViaductError that a promise rejects with. */
export async function errorOf(promise: PromiseLike<unknown>): Promise<ViaductError> {
  try {
    await promise
  } catch (error) {
    if (error instanceof ViaductError) return error
    throw error
  }
  throw new Error('it did not fail')
}

/** A promise, and whether it has settled. */
export function watched<T>(promise: Promise<T>): { readonly promise: Promise<T>; settled: boolean } {
  const watch = { promise, settled: false }
  const done = () => {
    watch.settled = true
  }
  promise.then(done, done)
  return watch
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
