import type { Target } from '../core/call.ts'
import { targetKey } from '../core/route.ts'
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

/** The type of the peers that come first on a route to anyone. */
const FIRST = 'main'
/** What such a route leads to, for messages. */
const ANYONE = 'any peer'
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
  /** Routes by what they lead to: `id x`, `type y` and `any`. */
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
      if (isOwned(route) && isToAnyone(route)) {
        const bound = new Set(route.bindings.map((binding) => binding.port))
        for (const able of this.#registry.all()) {
          if (!bound.has(able) && this.#isAble(route, able, name)) this.#bind(route, able)
        }
      }
      for (const binding of route.bindings) this.#resolve(route, binding, index)
      answers.push(this.#line(port, route, index))
    }
    const only = route.bindings.length === 1 ? route.bindings[0]?.port : undefined
    sendLines(port.link, KIND.ROUTE, number, this.#about(route, only), answers)
  }

  #topicsRoute(number: number): HubRoute {
    return {
      number,
      methods: [],
      bindings: [],
      gathering: this.#topics,
      awaited: () => false,
      absent: 'TARGET_UNAVAILABLE',
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
      awaited: () => this.#registry.isAwaited(where) || this.#behind(route).some(isStarting),
      absent: 'any' in where ? 'METHOD_NOT_FOUND' : 'TARGET_UNAVAILABLE',
      target: 'id' in where ? where.id : 'type' in where ? where.type : ANYONE,
    }
    const key = targetKey(where)
    const leading = this.#leading.get(key)
    if (leading) leading.add(route)
    else this.#leading.set(key, new Set([route]))
    if ('id' in where) {
      const port = this.#registry.get(where.id)
      if (port) this.#bind(route, port)
    } else if ('type' in where) {
      for (const port of this.#registry.ofType(where.type)) this.#bind(route, port)
    }
    return route
  }

  /** Who may come to serve a method of a route. */
  #behind(route: OwnedRoute): Port[] {
    return isToAnyone(route) ? this.#registry.all() : route.bindings.map(({ port }) => port)
  }

  /** Whether a peer may be picked on a route to anyone: it serves the method and may be called there. */
  #isAble(route: OwnedRoute, port: Port, name: string): boolean {
    const { id, type, zone } = port.info
    if (zone === 'hub' || !this.#registry.served(port).has(name)) return false
    return this.#manifest.mayCall(this.#subjectOf(route.owner), name, [id, type])
  }

  /** On a route to anyone the switch is to see those alone that come first: peers of type main, else all that are able. */
  #rank(route: OwnedRoute, index: number): void {
    const isFirst = ({ port, able }: Binding): boolean => port.info.type === FIRST && able[index] === true
    const first = route.bindings.some(isFirst)
    for (const binding of route.bindings) {
      binding.serves[index] = first ? isFirst(binding) : binding.able[index] === true
    }
  }

  #bind(route: OwnedRoute, port: Port): Binding {
    const binding: Binding = {
      port,
      route: port.nextRoute++,
      told: 0,
      serves: [],
      able: [],
      same: [],
      traffic: [],
    }
    route.bindings.push(binding)
    return binding
  }

  /** Whether a binding's peer serves a method, and in the caller's version. */
  #resolve(route: HubRoute, binding: Binding, index: number): void {
    const method = route.methods[index]
    if (!method) return
    const fingerprint = this.#registry.served(binding.port).get(method.name)?.fingerprint
    binding.same[index] = method.fingerprint !== '' && fingerprint === method.fingerprint
    let able = fingerprint !== undefined
    if (isOwned(route) && isToAnyone(route)) {
      able = this.#isAble(route, binding.port, method.name)
      const changed = binding.able[index] !== able
      binding.able[index] = able
      if (changed) this.#rank(route, index)
    } else binding.serves[index] = able
    // What is refused here is counted at the sender alone: names that nobody may call take no rows.
    if (isOwned(route) && method.status === 0 && able) {
      binding.traffic[index] ??= this.#traffic.row(route.owner.info.id, binding.port.info.id, method.name)
    }
  }

  #decide(port: Port, route: HubRoute, name: string): number {
    const subject = this.#subjectOf(port)
    if (!isOwned(route)) {
      const may = this.#manifest.mayPublish(subject, name) || this.#manifest.maySubscribe(subject, name)
      return may ? 0 : REASONS.PERMISSION_DENIED.number
    }
    return this.#manifest.mayCall(subject, name, this.#targets(route)) ? 0 : REASONS.PERMISSION_DENIED.number
  }

  /** What rules may call the target of a route. Of one to anyone each peer is decided by itself. */
  #targets({ where }: OwnedRoute): readonly string[] | 'anyone' {
    if ('any' in where) return 'anyone'
    if ('type' in where) return [where.type]
    const type = this.#registry.get(where.id)?.info.type
    return type === undefined ? [where.id] : [where.id, type]
  }

  /** What ROUTE says of who is behind it. */
  #about(route: HubRoute, port: Port | undefined): object {
    return port && !(isOwned(route) && isToAnyone(route)) ? { peer: port.info } : {}
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
    if (route.bindings.length === 0) return [index, REASONS[route.absent].number, false, messageBytes]
    if (serving.length === 0) return [index, REASONS.METHOD_NOT_FOUND.number, false, messageBytes]
    const same = serving.some((binding) => binding.same[index])
    const name = route.methods[index]?.name ?? ''
    const idempotent = serving.every(({ port: by }) => this.#registry.served(by).get(name)?.idempotent)
    return idempotent ? [index, 0, same, messageBytes, true] : [index, 0, same, messageBytes]
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
      if (fresh && isToAnyone(route)) {
        if (!route.methods.some((method) => method && this.#isAble(route, port, method.name))) continue
      }
      binding ??= this.#bind(route, port)
      const lines: RouteLine[] = []
      for (let index = 0; index < route.methods.length; index++) {
        const method = route.methods[index]
        if (!method || (!fresh && names && !names.has(method.name))) continue
        if (fresh) method.status = this.#decide(route.owner, route, method.name)
        this.#resolve(route, binding, index)
        lines.push(this.#line(route.owner, route, index))
      }
      if (lines.length > 0)
        sendLines(route.owner.link, KIND.ROUTE, route.number, this.#about(route, port), lines)
    }
  }

  /** A peer has gone: routes that led to it lose it, and its own are dropped. */
  remove(port: Port): void {
    for (const route of this.#leadingTo(port)) {
      const at = route.bindings.findIndex((binding) => binding.port === port)
      if (at < 0) continue
      route.bindings.splice(at, 1)
      if (isToAnyone(route)) for (const index of route.methods.keys()) this.#rank(route, index)
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
    const key = targetKey(route.where)
    const leading = this.#leading.get(key)
    leading?.delete(route)
    if (leading?.size === 0) this.#leading.delete(key)
    for (const binding of route.bindings) {
      // The number is not used again: calls of the old source may still wait in the peer's lanes.
      if (binding.told > 0) binding.port.link.control(KIND.DROP, 0, 0, binding.route)
    }
  }

  *#leadingTo(port: Port): Generator<OwnedRoute> {
    yield* this.#leading.get(targetKey({ any: true })) ?? []
    yield* this.#leading.get(`id ${port.info.id}`) ?? []
    yield* this.#leading.get(`type ${port.info.type}`) ?? []
  }
}

function isOwned(route: HubRoute): route is OwnedRoute {
  return 'owner' in route
}

function isToAnyone({ where }: OwnedRoute): boolean {
  return 'any' in where
}

/** Whoever may not have said yet all that it serves. */
function isStarting({ ready, draining, info }: Port): boolean {
  return !ready && !draining && info.zone !== 'hub'
}

/** Reads the target of an OPEN: absent is the hub itself. */
function target(value: unknown): Target | 'topics' | undefined {
  if (value === undefined) return { id: 'hub' }
  if (typeof value !== 'object' || value === null) return undefined
  if ('topics' in value && value.topics === true) return 'topics'
  if ('id' in value && typeof value.id === 'string' && value.id.length <= 64) return { id: value.id }
  if ('type' in value && typeof value.type === 'string' && value.type.length <= 64)
    return { type: value.type }
  if ('any' in value && value.any === true) return { any: true }
  return undefined
}
