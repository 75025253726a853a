import { ViaductError } from '../wire/errors.ts'
import { isObject, isText } from '../wire/guards.ts'
import { MAX_METHODS } from '../wire/limits.ts'
import { REASONS } from '../wire/reasons.ts'
import type { PeerInfo } from './call.ts'
import type { Served } from './incoming.ts'
import { MAX_FINGERPRINT, MAX_NAME } from './method.ts'

/** Methods that one far end may define on all its routes together; each costs memory here. */
export const LINK_METHODS = 2 * MAX_METHODS

/** Lines of a ROUTE that one frame holds, whatever they say. */
export const ROUTE_LINES = 1024

/** One method as a far caller numbered it on its route. */
export interface InMethod {
  readonly name: string
  readonly fingerprint: string
  served: Served | undefined
}

/** A route that leads here: who is behind it, and what its numbers mean. */
export interface InRoute {
  source: PeerInfo
  readonly methods: (InMethod | undefined)[]
}

/** One line of OPEN: index, name, fingerprint. */
export type OpenLine = readonly [index: number, name: string, fingerprint: string]
/** One line of ROUTE: index, status, same fingerprint, largest message, and that it may run twice where that is so. */
export type RouteLine = readonly [
  index: number,
  status: number,
  same: boolean,
  maxBytes: number,
  idempotent?: boolean,
]

/** The status and sameness of a method as ROUTE tells it. */
export function routeLine(index: number, method: InMethod, maxBytes: number): RouteLine {
  const { served } = method
  if (!served) return [index, REASONS.METHOD_NOT_FOUND.number, false, maxBytes]
  const same = method.fingerprint !== '' && served.method.fingerprint === method.fingerprint
  return served.method.idempotent ? [index, 0, same, maxBytes, true] : [index, 0, same, maxBytes]
}

export function alreadyServed(name: string): ViaductError {
  return new ViaductError('ALREADY_EXISTS', `${name} is served here already; withdraw it first`)
}

function isIndex(value: unknown): value is number {
  return typeof value === 'number' && value === value >>> 0
}

/** Reads the lines of an OPEN body; undefined when one is not of that form. */
export function openLines(value: unknown, maxMethods: number): OpenLine[] | undefined {
  const isLine = (line: unknown): line is OpenLine =>
    Array.isArray(line) &&
    isIndex(line[0]) &&
    line[0] < maxMethods &&
    isText(line[1], MAX_NAME) &&
    isText(line[2], MAX_FINGERPRINT)
  return Array.isArray(value) && value.every(isLine) ? value : undefined
}

/** Reads the lines of a ROUTE body, leaving out what is not of that form. */
export function routeLines(value: unknown): RouteLine[] {
  if (!Array.isArray(value)) return []
  const lines: RouteLine[] = []
  for (const line of value) {
    if (!Array.isArray(line)) continue
    const [index, status, same, maxBytes, idempotent]: unknown[] = line
    if (isIndex(index) && typeof status === 'number') {
      const most = typeof maxBytes === 'number' ? maxBytes : 0
      lines.push([index, status, same === true, most, idempotent === true])
    }
  }
  return lines
}

/** Reads a peer's description out of a link body. */
export function peerInfo(value: unknown): PeerInfo | undefined {
  if (!isObject(value)) return undefined
  const { id, type, zone, session, pid } = {
    id: '',
    type: '',
    zone: '',
    session: '',
    pid: undefined,
    ...value,
  }
  if (
    typeof id !== 'string' ||
    typeof type !== 'string' ||
    typeof zone !== 'string' ||
    typeof session !== 'string'
  ) {
    return undefined
  }
  return { id, type, zone, session, ...(typeof pid === 'number' ? { pid } : {}) }
}

/** Who is at the far end of a link that says nothing of it. */
export const NOBODY: PeerInfo = { id: '', type: '', zone: 'local', session: '' }
