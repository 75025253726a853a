import { REASONS } from '../wire/reasons.ts'
import { isDurable } from './durable.ts'
import type { ContractOf } from './entries.ts'

/** What a ROUTE says of one method (PROTOCOL.md, section 3). */
export interface RouteMethod {
  /** Full name, as `pages.analyze`. */
  readonly name: string
  /** 0: allowed; else the number of a reason (PROTOCOL.md, section 8). */
  readonly status: number
  /** The far end's fingerprint equals ours. */
  readonly same: boolean
}

/** The difference between a contract here and what a route offers; names are the contract's keys. */
export interface Compatibility {
  /** Every method can be called. Changed ones can: their bodies describe themselves and are checked there. */
  readonly compatible: boolean
  /** Not served there. */
  readonly missing: string[]
  /** Served with another fingerprint: other schemas, errors, kind or version. */
  readonly changed: string[]
  /** There, but not for this caller. */
  readonly refused: string[]
  /** One line for a log, naming the methods. */
  readonly message: string
}

const NOT_THERE: ReadonlySet<number> = new Set([
  REASONS.METHOD_NOT_FOUND.number,
  REASONS.TARGET_UNAVAILABLE.number,
  REASONS.DRAINING.number,
])

/** Compares a contract with a route's methods. Topics count only if the route says something of them. */
export function compareContract(contract: ContractOf, route: Iterable<RouteMethod>): Compatibility {
  const { name, methods } = contract['~contract']
  const said = new Map<string, RouteMethod>()
  for (const method of route) said.set(method.name, method)
  const missing: string[] = []
  const changed: string[] = []
  const refused: string[] = []
  for (const [key, method] of methods) {
    const there = said.get(method.name)
    if (there === undefined) {
      // Who serves a durable method takes its calls from a mailbox.
      if (method.kind !== 'topic' && !isDurable(method)) missing.push(key)
    } else if (NOT_THERE.has(there.status)) missing.push(key)
    else if (there.status !== 0) refused.push(key)
    else if (!there.same) changed.push(key)
  }
  const faults = [
    ...(missing.length > 0 ? [`not served there: ${missing.join(', ')}`] : []),
    ...(refused.length > 0 ? [`refused: ${refused.join(', ')}`] : []),
    ...(changed.length > 0 ? [`changed: ${changed.join(', ')}`] : []),
  ]
  return {
    compatible: missing.length === 0 && refused.length === 0,
    missing,
    changed,
    refused,
    message: `${name}: ${faults.length > 0 ? faults.join('; ') : 'both sides agree'}`,
  }
}
