import type { Caller, Target } from '../../src/core/call.ts'
import type { PeerOptions } from '../../src/core/linkCore.ts'
import { untyped } from '../../src/core/method.ts'
import { PeerCore } from '../../src/core/peer.ts'
import type { Transport } from '../../src/core/transport.ts'
import { marks } from '../../src/page/marks.ts'
import { peerOver } from '../../src/page/peer.ts'
import { values } from '../../src/page/values.ts'
import {
  type FaultLink,
  type FaultOptions,
  faultLink,
  type Side,
  type SuitePeer,
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

/** What cases ask of one end of a link: whatever has it can be judged. */
export interface RigPeer extends SuitePeer {
  readonly openCalls: number
  /** Absent where a link has one far end and no more. */
  to?(target: Target): Caller
  batch<T extends readonly PromiseLike<unknown>[]>(
    make: () => [...T],
  ): Promise<{ [K in keyof T]: PromiseSettledResult<Awaited<T[K]>> }>
  ping(): Promise<number>
  drained(): Promise<void>
}

/** Makes an end of a link. An implementation that has no use for some of the options passes them over. */
export type MakePeer<Peer extends RigPeer = RigPeer> = (transport: Transport, options: PeerOptions) => Peer

/** The peer that has everything. */
export const whole: MakePeer<PeerCore> = (transport, options) => new PeerCore(transport, options)

/** The peer of web pages. */
export const page: MakePeer = (transport, options) => peerOver(transport, { ...options, marks, values })

/** Two implementations, be they the same, that a link joins: which calls and which answers. */
export interface Pairing {
  readonly name: string
  readonly near: MakePeer
  readonly far: MakePeer
}

/** All that is judged. What is added here runs all cases that stand in `describe.each` of the tests beside. */
export const peers: readonly Pairing[] = [
  { name: 'whole', near: whole, far: whole },
  { name: 'a page to the whole', near: page, far: whole },
  { name: 'the whole to a page', near: whole, far: page },
  { name: 'a page to a page', near: page, far: page },
]

/** One pairing for each near end, for cases that play the far end themselves. */
export const nears: readonly Pairing[] = peers.filter(
  ({ near }, at) => peers.findIndex((other) => other.near === near) === at,
)

export interface Rig<Near extends RigPeer = PeerCore, Far extends RigPeer = PeerCore> {
  readonly clock: VirtualClock
  readonly link: FaultLink
  /** Calls. */
  readonly near: Near
  /** Answers. */
  readonly far: Far
  readonly sent: Sent[]
  readonly writes: { from: Side; bytes: number }[]
  of(kind: number, from?: Side): Sent[]
}

export interface RigOptions extends Omit<FaultOptions, 'clock' | 'onFrame' | 'onWrite'> {
  readonly near?: Partial<PeerOptions>
  readonly far?: Partial<PeerOptions>
}

interface Makers<Near extends RigPeer, Far extends RigPeer> {
  readonly makeNear: MakePeer<Near>
  readonly makeFar: MakePeer<Far>
}

/** Two peers, whole ones unless it is said, over a link that does what the test wants, in virtual time. */
export function rig(options?: RigOptions): Rig
export function rig<Near extends RigPeer, Far extends RigPeer>(
  options: RigOptions & Makers<Near, Far>,
): Rig<Near, Far>
export function rig({
  makeNear = whole,
  makeFar = whole,
  ...options
}: RigOptions & Partial<Makers<RigPeer, RigPeer>> = {}): Rig<RigPeer, RigPeer> {
  const clock = new VirtualClock(1000)
  const sent: Sent[] = []
  const writes: { from: Side; bytes: number }[] = []
  const link = faultLink({
    ...options,
    clock,
    onFrame: (from, frame) => sent.push(read(from, frame)),
    onWrite: (from, bytes) => writes.push({ from, bytes }),
  })
  const near = makeNear(link.ends[0], { clock, ...options.near })
  const far = makeFar(link.ends[1], { clock, ...options.far })
  const of = (kind: number, from?: Side): Sent[] =>
    sent.filter((frame) => frame.kind === kind && (from === undefined || frame.from === from))
  return { clock, link, near, far, sent, writes, of }
}

/** A {@link rig} of one pairing. */
export function rigOf(pairing: Pairing): (options?: RigOptions) => Rig<RigPeer, RigPeer> {
  return (options) => rig({ ...options, makeNear: pairing.near, makeFar: pairing.far })
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
