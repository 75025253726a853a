import { ViaductError } from '../wire/errors.ts'
import { MAX_ROUTES } from '../wire/limits.ts'
import type { PeerInfo, Target } from './call.ts'
import type { Method } from './method.ts'

/** What OPEN names as its target: see PROTOCOL.md, section 3. */
export type RouteTarget = Target | { readonly topics: true } | undefined

/**
 * A way to a target as its caller sees it: a number, and the methods defined on it so far. Methods are
 * numbered by first use, so a contract of thousands costs what is used of it.
 */
export class Route {
  readonly number: number
  readonly target: RouteTarget
  readonly #indices = new Map<string, number>()
  /** Methods of a name that stood there already with another shape, by fingerprint and name. */
  readonly #others = new Map<string, number>()
  readonly methods: Method[] = []
  /** Whether the server's fingerprint equals ours, by method index; set by ROUTE. */
  readonly same: boolean[] = []
  /** Status by method index: 0 allowed, a reason's number, undefined until ROUTE has come. */
  readonly status: (number | undefined)[] = []
  /** Whether all who serve it say that it may run twice, by method index; set by ROUTE. */
  readonly idempotent: boolean[] = []
  /** The peer behind a route bound to one, as the hub says. */
  peer: PeerInfo | undefined

  constructor(number: number, target: RouteTarget) {
    this.number = number
    this.target = target
  }

  get isTopics(): boolean {
    return this.target !== undefined && 'topics' in this.target
  }

  /** The method's index, or -1 when it is not defined here yet. */
  indexOf(method: Method): number {
    const index = this.#indices.get(method.name)
    if (index === undefined) return -1
    return this.methods[index] === method ? index : this.#redefined(index, method)
  }

  /** Two contracts may name the same method with different shapes: then bodies describe themselves. */
  #redefined(index: number, method: Method): number {
    if (this.methods[index]?.fingerprint === method.fingerprint) return index
    return this.#others.get(otherKey(method)) ?? -1
  }

  isIdempotent(method: Method): boolean {
    return method.idempotent || this.idempotent[this.indexOf(method)] === true
  }

  define(method: Method): number {
    const index = this.methods.length
    if (this.#indices.has(method.name)) this.#others.set(otherKey(method), index)
    else this.#indices.set(method.name, index)
    this.methods.push(method)
    this.same.push(false)
    this.idempotent.push(false)
    this.status.push(undefined)
    return index
  }
}

function otherKey(method: Method): string {
  return `${method.fingerprint} ${method.name}`
}

/**
 * @throws ViaductError INVALID_ARGUMENT / BAD_ID for what no peer can be called: a far end closes its link over it.
 */
export function checkTarget(target: RouteTarget): void {
  if (!target || 'topics' in target || 'any' in target) return
  const [key, name]: [string, unknown] = 'id' in target ? ['id', target.id] : ['type', target.type]
  if (typeof name === 'string' && name.length <= MAX_TARGET) return
  throw new ViaductError('INVALID_ARGUMENT', `target.${key}: a text of at most ${MAX_TARGET} characters`, {
    reason: 'BAD_ID',
    path: `target.${key}`,
    fate: 'not-sent',
  })
}
const MAX_TARGET = 64

export function tooManyRoutes(): ViaductError {
  const text = `over ${MAX_ROUTES} targets on one link: call peers by type`
  return new ViaductError('RESOURCE_EXHAUSTED', text, { reason: 'TOO_MANY_ROUTES', fate: 'not-sent' })
}

export function targetKey(target: RouteTarget): string {
  if (!target) return ''
  if ('topics' in target) return 'topics'
  if ('any' in target) return 'any'
  if ('id' in target) return `id ${target.id}`
  return `type ${target.type}`
}

export function describeTarget(target: RouteTarget): string {
  if (!target) return 'the far end'
  if ('topics' in target) return 'topics'
  if ('any' in target) return 'any peer'
  if ('id' in target) return target.id
  return `any ${target.type}`
}
