import type { Description } from '../../hub/answers.ts'
import { Failure } from '../failure.ts'
import { type Session, targetOf } from '../session.ts'
import { table } from '../table.ts'
import { visible } from '../text.ts'

/** Methods that one question about a route may name. */
const QUESTION = 200

interface Row {
  readonly name: string
  readonly kind: string
  readonly fingerprint: string
  /** `OK`, or the reason why the command line may not call it. */
  readonly status: string
}

/** What peers serve, and which of it the command line may call. */
export async function describe(session: Session, peer: string | undefined): Promise<void> {
  const { out } = session
  const target = peer === undefined ? undefined : targetOf(peer)
  const found = await session.describe(target)
  if (target && found.length === 0) {
    const what = 'id' in target ? `no peer has the id ${target.id}` : `no peer is of the type ${target.type}`
    throw new Failure(what, { next: await session.adviceOnTarget(target) })
  }
  const described = await Promise.all(
    found.map(async ({ id, type, methods }) => ({
      id,
      type,
      methods: await withStatus(session, id, methods),
    })),
  )
  if (out.json) return out.value(described)
  for (const [at, { id, type, methods }] of described.entries()) {
    if (at > 0) await out.line('')
    await out.line(`${out.style('bold', visible(id))}  type ${visible(type)}`)
    if (methods.length === 0) await out.line('  serves nothing')
    else for (const line of rows(session, methods)) await out.line(`  ${line}`)
  }
}

function rows({ out }: Session, methods: readonly Row[]): string[] {
  return table<Row>(
    methods,
    [
      { title: 'METHOD', cell: ({ name }) => name },
      { title: 'KIND', cell: ({ kind }) => kind },
      { title: 'FINGERPRINT', cell: ({ fingerprint }) => (fingerprint === '' ? '-' : fingerprint) },
      {
        title: 'CALL',
        cell: ({ status }) => (status === 'OK' ? 'yes' : `no: ${status}`),
        paint: (text, { status }) => out.style(status === 'OK' ? 'green' : 'yellow', text),
      },
    ],
    (text) => out.style('dim', text),
  )
}

/** Asks the hub which of the methods this peer may call there. */
async function withStatus(session: Session, id: string, methods: Description['methods']): Promise<Row[]> {
  const statuses = new Map<string, string>()
  for (let from = 0; from < methods.length; from += QUESTION) {
    const names = methods.slice(from, from + QUESTION).map(({ name }) => name)
    const answer = await session.ask('route', { target: { id }, methods: names })
    for (const { name, status } of statusesOf(answer)) statuses.set(name, status)
  }
  return methods.map(({ name, kind, fingerprint }) => ({
    name,
    kind,
    fingerprint,
    status: statuses.get(name) ?? 'TARGET_UNAVAILABLE',
  }))
}

function statusesOf(answer: unknown): { name: string; status: string }[] {
  if (typeof answer !== 'object' || answer === null || !('methods' in answer)) return []
  return Array.isArray(answer.methods) ? answer.methods.filter(isStatus) : []
}

function isStatus(value: unknown): value is { name: string; status: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    typeof value.name === 'string' &&
    'status' in value &&
    typeof value.status === 'string'
  )
}
