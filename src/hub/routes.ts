import type { Target } from '../core/call.ts'
import { LINK_METHODS, openLines, type RouteLine } from '../core/served.ts'
import { readU32 } from '../wire/frame.ts'
import * as AT from '../wire/headerAt.ts'
import * as KIND from '../wire/kind.ts'
import { MAX_METHODS, MAX_ROUTES } from '../wire/limits.ts'
import { REASONS } from '../wire/reasons.ts'
import { readBody, sendLines } from './linkBody.ts'
import type { Manifest, Subject } from './manifest.ts'
import type { Binding, Gathering, HubRoute, Port, RouteMethod } from './port.ts'
import type { Registry } from './registry.ts'
import type { TrafficLog } from './traffic.ts'

/** Lines of one OPEN, as a rule; longer ones take more. */
const LINES = 64

interface OwnedRoute extends HubRoute {
  readonly owner: Port
  readonly where: Target
}

/** Decides routes: who is behind a target, which methods are allowed there, and what the numbers mean. */
export class Routes {
  readonly #registry: Registry
  readonly #manifest: Manifest
  readonly #traffic: TrafficLog
  readonly #topics: Gathering
  readonly #subjectOf: (port: Port) => Subject
  /** Routes by what they lead to: `id x` and `type y`. */
  readonly #leading = new Map<string, Set<OwnedRoute>>()

  constructor(
    registry: Registry,
    manifest: Manifest,
    traffic: TrafficLog,
    topics: Gathering,
    subjectOf: (port: Port) => Subject,
  ) {
    this.#registry = registry
    this.#manifest = manifest
    this.#traffic = traffic
    this.#topics = topics
    this.#subjectOf = subjectOf
  }

  /** OPEN and DROP of a peer; ROUTE needs no answer, because the registry knows what is served. */
  control(port: Port, kind: number, bytes: Uint8Array, at: number): void {
    const number = readU32(bytes, at + AT.route)
    if (kind === KIND.DROP) this.#drop(port, number)
    else if (kind === KIND.OPEN) this.#open(port, number, bytes, at)
    else if (kind !== KIND.ROUTE) port.link.violation()
  }

  #open(port: Port, number: number, bytes: Uint8Array, at: number): void {
    const body = readBody(bytes, at)
    const lines = openLines(body?.methods, MAX_METHODS)
    const where = target(body?.target)
    if (!body || !lines || !where || number >= MAX_ROUTES) {
      port.link.violation()
      return
    }
    let route = port.routes[number]
    if (!route) {
      route = where === 'topics' ? this.#topicsRoute(number) : this.#lead(port, number, where)
      port.routes[number] = route
    }
    const answers: RouteLine[] = []
    for (const [index, name, fingerprint] of lines) {
      const known = route.methods[index]
      if (known && (known.name !== name || known.fingerprint !== fingerprint)) {
        // What an index means was told to the callee, and decided: it cannot become another method's.
        port.link.violation()
        return
      }
      for (const binding of route.bindings) if (!known && index < binding.told) binding.told = index
      if (!known && ++port.methods > LINK_METHODS) {
        port.link.violation()
        return
      }
      const method: RouteMethod = { name, fingerprint, status: this.#decide(port, route, name) }
      route.methods[index] = method
      for (const binding of route.bindings) this.#resolve(route, binding, index)
      answers.push(this.#line(port, route, index))
    }
    const only = route.bindings.length === 1 ? route.bindings[0] : undefined
    sendLines(port.link, KIND.ROUTE, number, only ? { peer: only.port.info } : {}, answers)
  }

  #topicsRoute(number: number): HubRoute {
    return {
      number,
      methods: [],
      bindings: [],
      gathering: this.#topics,
      awaited: () => false,
      target: 'topics',
    }
  }

  #lead(owner: Port, number: number, where: Target): OwnedRoute {
    const route: OwnedRoute = {
      number,
      owner,
      where,
      methods: [],
      bindings: [],
      gathering: undefined,
      // A peer that has not said that it is ready may not have said yet all that it serves.
      awaited: () =>
        this.#registry.isAwaited(where) || route.bindings.some(({ port }) => !port.ready && !port.draining),
      target: 'id' in where ? where.id : where.type,
    }
    const key = keyOf(where)
    const leading = this.#leading.get(key)
    if (leading) leading.add(route)
    else this.#leading.set(key, new Set([route]))
    if ('id' in where) {
      const port = this.#registry.get(where.id)
      if (port) this.#bind(route, port)
    } else {
      for (const port of this.#registry.ofType(where.type)) this.#bind(route, port)
    }
    return route
  }

  #bind(route: OwnedRoute, port: Port): Binding {
    const binding: Binding = { port, route: port.nextRoute++, told: 0, serves: [], same: [], traffic: [] }
    route.bindings.push(binding)
    return binding
  }

  /** Whether a binding's peer serves a method, and in the caller's version. */
  #resolve(route: HubRoute, binding: Binding, index: number): void {
    const method = route.methods[index]
    if (!method) return
    const fingerprint = this.#registry.served(binding.port).get(method.name)?.fingerprint
    binding.serves[index] = fingerprint !== undefined
    binding.same[index] = method.fingerprint !== '' && fingerprint === method.fingerprint
    // What is refused here is counted at the sender alone: names that nobody may call take no rows.
    if (isOwned(route) && method.status === 0 && binding.serves[index]) {
      binding.traffic[index] ??= this.#traffic.row(route.owner.info.id, binding.port.info.id, method.name)
    }
  }

  #decide(port: Port, route: HubRoute, name: string): number {
    const subject = this.#subjectOf(port)
    if (!isOwned(route)) {
      const may = this.#manifest.mayPublish(subject, name) || this.#manifest.maySubscribe(subject, name)
      return may ? 0 : REASONS.PERMISSION_DENIED.number
    }
    const targets: string[] = 'id' in route.where ? [route.where.id] : [route.where.type]
    const type = 'id' in route.where ? this.#registry.get(route.where.id)?.info.type : undefined
    if (type !== undefined) targets.push(type)
    return this.#manifest.mayCall(subject, name, targets) ? 0 : REASONS.PERMISSION_DENIED.number
  }

  #line(port: Port, route: HubRoute, index: number): RouteLine {
    const status = route.methods[index]?.status ?? REASONS.METHOD_NOT_FOUND.number
    const { messageBytes } = port.limits
    if (route.gathering && status === 0) {
      const mayPublish = this.#manifest.mayPublish(this.#subjectOf(port), route.methods[index]?.name ?? '')
      return [index, status, false, mayPublish ? messageBytes : 0]
    }
    if (status !== 0) return [index, status, false, messageBytes]
    const serving = route.bindings.filter((binding) => binding.serves[index])
    if (route.bindings.length === 0) return [index, REASONS.TARGET_UNAVAILABLE.number, false, messageBytes]
    if (serving.length === 0) return [index, REASONS.METHOD_NOT_FOUND.number, false, messageBytes]
    return [index, 0, serving.some((binding) => binding.same[index]), messageBytes]
  }

  /** Tells a callee the source and the methods of a route before the first call that uses them. */
  tell(route: HubRoute, binding: Binding): void {
    if (!isOwned(route)) return
    const { info } = route.owner
    const { methods } = route
    for (let from = binding.told; from < methods.length; from += LINES) {
      const lines = methods
        .slice(from, from + LINES)
        .flatMap((method, offset) => (method ? [[from + offset, method.name, method.fingerprint]] : []))
      sendLines(binding.port.link, KIND.OPEN, binding.route, { source: info }, lines)
    }
    binding.told = methods.length
  }

  /** A peer has come, or serves other methods than before: the routes that lead to it are told. */
  refresh(port: Port, names?: ReadonlySet<string>): void {
    for (const route of this.#leadingTo(port)) {
      let binding = route.bindings.find((known) => known.port === port)
      const fresh = binding === undefined
      binding ??= this.#bind(route, port)
      const lines: RouteLine[] = []
      for (let index = 0; index < route.methods.length; index++) {
        const method = route.methods[index]
        if (!method || (!fresh && names && !names.has(method.name))) continue
        if (fresh) method.status = this.#decide(route.owner, route, method.name)
        this.#resolve(route, binding, index)
        lines.push(this.#line(route.owner, route, index))
      }
      if (lines.length > 0) sendLines(route.owner.link, KIND.ROUTE, route.number, { peer: port.info }, lines)
    }
  }

  /** A peer has gone: routes that led to it lose it, and its own are dropped. */
  remove(port: Port): void {
    for (const route of this.#leadingTo(port)) {
      const at = route.bindings.findIndex((binding) => binding.port === port)
      if (at < 0) continue
      route.bindings.splice(at, 1)
      const lines = route.methods.flatMap((method, index) =>
        method ? [this.#line(route.owner, route, index)] : [],
      )
      if (route.owner !== port) sendLines(route.owner.link, KIND.ROUTE, route.number, {}, lines)
    }
    port.routes.forEach((_, number) => {
      this.#drop(port, number)
    })
  }

  #drop(port: Port, number: number): void {
    const route = port.routes[number]
    if (!route) return
    port.routes[number] = undefined
    for (const method of route.methods) if (method) port.methods--
    if (!isOwned(route)) return
    const key = keyOf(route.where)
    const leading = this.#leading.get(key)
    leading?.delete(route)
    if (leading?.size === 0) this.#leading.delete(key)
    for (const binding of route.bindings) {
      // The number is not used again: calls of the old source may still wait in the peer's lanes.
      if (binding.told > 0) binding.port.link.control(KIND.DROP, 0, 0, binding.route)
    }
  }

  *#leadingTo(port: Port): Generator<OwnedRoute> {
    yield* this.#leading.get(`id ${port.info.id}`) ?? []
    yield* this.#leading.get(`type ${port.info.type}`) ?? []
  }
}

function isOwned(route: HubRoute): route is OwnedRoute {
  return 'owner' in route
}

function keyOf(where: Target): string {
  return 'id' in where ? `id ${where.id}` : `type ${where.type}`
}

/** Reads the target of an OPEN: absent is the hub itself. */
function target(value: unknown): Target | 'topics' | undefined {
  if (value === undefined) return { id: 'hub' }
  if (typeof value !== 'object' || value === null) return undefined
  if ('topics' in value && value.topics === true) return 'topics'
  if ('id' in value && typeof value.id === 'string' && value.id.length <= 64) return { id: value.id }
  if ('type' in value && typeof value.type === 'string' && value.type.length <= 64)
    return { type: value.type }
  return undefined
}
