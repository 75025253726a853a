import { isViaductError } from '../../wire/errors.ts'
import { exitOf, Failure, UsageError } from '../failure.ts'
import { type Session, targetOf } from '../session.ts'
import { millisecondsText, visible } from '../text.ts'

const DEFAULT_COUNT = 5

/** Milliseconds of round trips to the hub; with a peer also from the hub to that peer. */
export async function ping(session: Session, peer: string | undefined, wanted?: string): Promise<void> {
  const { out, app } = session
  const count = wanted === undefined ? DEFAULT_COUNT : Number(wanted)
  if (!Number.isInteger(count) || count < 1 || count > 10_000) {
    throw new UsageError(`--count ${JSON.stringify(wanted)}: a number from 1 to 10000`)
  }
  const target = peer === undefined ? undefined : targetOf(peer)
  if (target && !('id' in target)) throw new UsageError('ping takes one peer: choose one from `viaduct who`')
  const toHub: number[] = []
  const toPeer: number[] = []
  for (let sent = 0; sent < count; sent++) {
    const began = performance.now()
    const answer = await session.ask('ping', target ?? {}).catch(async (error: unknown) => {
      const next = target ? await session.adviceOnTarget(target) : []
      throw failureOf(error, next, target?.id, session.timeoutMs)
    })
    const ms = performance.now() - began
    const peerMs = peerMsOf(answer)
    toHub.push(ms - (peerMs ?? 0))
    if (peerMs !== undefined) toPeer.push(peerMs)
  }
  const hub = summary(toHub)
  const far = target && { id: target.id, ...summary(toPeer) }
  if (out.json) return out.value({ app, hub, ...(far ? { peer: far } : {}) })
  await out.line(textOf(`hub of ${app}`, hub))
  if (far) await out.line(textOf(`hub to ${visible(far.id)}`, far))
}

interface Summary {
  readonly count: number
  readonly minMs: number
  readonly medianMs: number
  readonly maxMs: number
}

function summary(times: readonly number[]): Summary {
  const sorted = [...times].sort((one, other) => one - other)
  const at = (place: number): number => Math.round((sorted[place] ?? 0) * 1000) / 1000
  return {
    count: sorted.length,
    minMs: at(0),
    medianMs: at(Math.floor(sorted.length / 2)),
    maxMs: at(sorted.length - 1),
  }
}

function textOf(what: string, { count, minMs, medianMs, maxMs }: Summary): string {
  const [least, middle, most] = [minMs, medianMs, maxMs].map(millisecondsText)
  return `${what}: ${count} pings, fastest ${least}, median ${middle}, slowest ${most}`
}

function peerMsOf(answer: unknown): number | undefined {
  return typeof answer === 'object' &&
    answer !== null &&
    'peerMs' in answer &&
    typeof answer.peerMs === 'number'
    ? answer.peerMs
    : undefined
}

function failureOf(error: unknown, next: readonly string[], id: string | undefined, ms: number): Failure {
  const message =
    id !== undefined && isViaductError(error) && error.code === 'DEADLINE_EXCEEDED'
      ? `${id} is connected and did not answer within ${ms} ms: its event loop hangs, or the process is stopped`
      : error instanceof Error
        ? error.message
        : String(error)
  return new Failure(message, { exit: exitOf(error), next, cause: error })
}
