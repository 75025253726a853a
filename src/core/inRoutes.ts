import * as KIND from '../wire/kind.ts'
import { MAX_METHODS, MAX_ROUTES } from '../wire/limits.ts'
import type { Handler, PeerInfo } from './call.ts'
import type { Served } from './incoming.ts'
import type { Message } from './message.ts'
import { checkMethod, type Method } from './method.ts'
import type { Output } from './output.ts'
import {
  alreadyServed,
  type InMethod,
  type InRoute,
  LINK_METHODS,
  openLines,
  peerInfo,
  ROUTE_LINES,
  type RouteLine,
  routeLine,
} from './served.ts'

/** The methods that are served here, and the routes by which callers have numbered them. */
export class InRoutes {
  readonly #output: Output
  readonly #messageBytes: number
  /** The far end is a hub: it stamps sources, and knows from announcements what is served. */
  readonly #hub: boolean
  readonly #routes = new Map<number, InRoute>()
  readonly #served = new Map<string, Served>()
  #far: PeerInfo
  /** Methods defined on all routes. */
  #defined = 0

  constructor(output: Output, messageBytes: number, hub: boolean, far: PeerInfo) {
    this.#output = output
    this.#messageBytes = messageBytes
    this.#hub = hub
    this.#far = far
    this.#routes.set(0, { source: far, methods: [] })
  }

  /** Who is at the far end is known now. */
  set far(far: PeerInfo) {
    this.#far = far
    this.#routes.set(0, { source: far, methods: this.#routes.get(0)?.methods ?? [] })
  }

  get(number: number): InRoute | undefined {
    return this.#routes.get(number)
  }

  /** @throws ViaductError ALREADY_EXISTS when the name is served here; INVALID_ARGUMENT / BAD_METHOD. */
  serve(method: Method, handler: Handler): Served {
    checkMethod(method)
    if (this.#served.has(method.name)) {
      throw alreadyServed(method.name)
    }
    const served: Served = { method, handler, running: 0, withdrawn: false, onidle: undefined }
    this.#served.set(method.name, served)
    this.#refresh(method.name, served)
    return served
  }

  /** @returns false when it was withdrawn before. */
  withdraw(served: Served): boolean {
    if (served.withdrawn) return false
    served.withdrawn = true
    this.#served.delete(served.method.name)
    this.#refresh(served.method.name, undefined)
    return true
  }

  /** Tells callers who hold a route here what has become of a method. */
  #refresh(name: string, served: Served | undefined): void {
    this.#routes.forEach((route, number) => {
      const lines: RouteLine[] = []
      route.methods.forEach((method, index) => {
        if (method?.name !== name) return
        method.served = served
        lines.push(routeLine(index, method, this.#messageBytes))
      })
      this.#tell(number, lines)
    })
  }

  /** A caller may have defined more methods than one frame has room to answer. */
  #tell(number: number, lines: readonly RouteLine[]): void {
    for (let at = 0; at < lines.length; at += ROUTE_LINES) {
      this.#output.control(KIND.ROUTE, number, { methods: lines.slice(at, at + ROUTE_LINES) })
    }
  }

  /** OPEN: a caller numbers methods on its route. */
  open(message: Message): void {
    const number = message.route
    const body = message.readLinkBody()
    const lines = openLines(body?.methods, MAX_METHODS)
    if (!body || !lines || (!this.#hub && number >= MAX_ROUTES)) {
      this.#output.link.violation()
      return
    }
    let route = this.#routes.get(number)
    const source = this.#hub ? peerInfo(body.source) : undefined
    if (!route) {
      route = { source: source ?? this.#far, methods: [] }
      this.#routes.set(number, route)
    } else if (source) {
      route.source = source
    }
    const answers: RouteLine[] = []
    for (const [index, name, fingerprint] of lines) {
      if (!route.methods[index] && ++this.#defined > LINK_METHODS && !this.#hub) {
        this.#output.link.violation()
        return
      }
      const method: InMethod = { name, fingerprint, served: this.#served.get(name) }
      route.methods[index] = method
      answers.push(routeLine(index, method, this.#messageBytes))
    }
    if (!this.#hub) this.#tell(number, answers)
  }

  /** DROP: the caller or the hub is done with a route. */
  drop(number: number): void {
    for (const method of this.#routes.get(number)?.methods ?? []) if (method) this.#defined--
    this.#routes.delete(number)
  }
}
