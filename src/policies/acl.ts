import type { PeerInfo } from '../core/call.ts'
import type { Interceptor, Next } from '../core/interceptor.ts'
import { isNameOrPattern, matches } from '../core/pattern.ts'
import { ViaductError } from '../wire/errors.ts'
import { badOption } from './options.ts'

/** Who may: ids and types of peers, or a question asked of each. */
export type Allowed = readonly string[] | ((peer: PeerInfo, input: unknown) => boolean)

/** By method: its full name, or a pattern as `pages.*`. The first that matches decides; what none matches is denied. */
export interface AclRules {
  readonly [method: string]: Allowed
}

/**
 * Says at the callee who may call what, beside the hub's manifest: by what is asked, or where there is no hub. A call
 * that may not pass does not run and gets PERMISSION_DENIED. A function sees the input before it is checked.
 */
export function acl(rules: AclRules): Interceptor {
  if (typeof rules !== 'object' || rules === null) throw badOption('acl', '*', 'give who may by method')
  const lines = Object.entries(rules)
  for (const [name, allowed] of lines) {
    const isList = Array.isArray(allowed) && allowed.every((one) => typeof one === 'string')
    if (!isNameOrPattern(name)) throw badOption('acl', name, 'give a method, or a pattern as "pages.*"')
    if (isList || typeof allowed === 'function') continue
    throw badOption('acl', name, 'give a list of ids and types of peers, or a function')
  }
  let refused = 0
  const policy = (next: Next): Next => {
    return (call) => {
      if (call.side === 'caller') return next(call)
      const { peer } = call.context
      const allowed = lines.find(([name]) => matches(name, call.method.name))?.[1]
      const may =
        typeof allowed === 'function'
          ? allowed(peer, call.input) === true
          : allowed !== undefined && (allowed.includes(peer.id) || allowed.includes(peer.type))
      if (may) return next(call)
      refused++
      throw new ViaductError(
        'PERMISSION_DENIED',
        `${call.method.name}: ${peer.id || 'this caller'} may not call it here`,
        {
          fate: 'not-sent',
        },
      )
    }
  }
  return Object.assign(policy, { policy: 'acl', stats: () => ({ refused }) })
}
