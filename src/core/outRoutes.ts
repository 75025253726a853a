import * as KIND from '../wire/kind.ts'
import { MAX_ROUTES } from '../wire/limits.ts'
import type { Message } from './message.ts'
import { checkMethod, type Method } from './method.ts'
import type { Output } from './output.ts'
import { checkTarget, Route, type RouteTarget, targetKey, tooManyRoutes } from './route.ts'
import { peerInfo, routeLines } from './served.ts'

/** The routes that this side has opened, by target and by number. */
export class OutRoutes {
  readonly #output: Output
  readonly #byTarget = new Map<string, Route>()
  readonly #byNumber: Route[] = []
  /** Called with what the hub says of a topic. */
  onTopic: ((route: Route, index: number, maxBytes: number) => void) | undefined

  constructor(output: Output) {
    this.#output = output
  }

  /**
   * The route to a target; its number is taken at once, and the far end is told with the first method.
   *
   * @throws ViaductError RESOURCE_EXHAUSTED / TOO_MANY_ROUTES; INVALID_ARGUMENT / BAD_ID
   */
  to(target: RouteTarget): Route {
    const key = targetKey(target)
    let route = this.#byTarget.get(key)
    if (!route) {
      checkTarget(target)
      if (this.#byNumber.length >= MAX_ROUTES) throw tooManyRoutes()
      route = new Route(this.#byNumber.length, target)
      this.#byTarget.set(key, route)
      this.#byNumber.push(route)
    }
    return route
  }

  /**
   * The method's number on a route; the first use of a method opens it, in the same write as the call.
   *
   * @throws ViaductError INVALID_ARGUMENT / BAD_METHOD
   */
  index(route: Route, method: Method): number {
    const known = route.indexOf(method)
    if (known >= 0) return known
    checkMethod(method)
    const index = route.define(method)
    const { target } = route
    const methods = [[index, method.name, method.fingerprint]]
    this.#output.control(KIND.OPEN, route.number, target ? { target, methods } : { methods })
    return index
  }

  /** ROUTE: what the far end says of a route. */
  receive(message: Message): void {
    const route = this.#byNumber[message.route]
    const body = message.readLinkBody()
    if (!body) this.#output.link.violation()
    if (!route || !body) return
    route.peer = peerInfo(body.peer) ?? route.peer
    for (const [index, status, same, maxBytes, idempotent = false] of routeLines(body.methods)) {
      if (index >= route.methods.length) continue
      route.status[index] = status
      route.same[index] = same
      route.idempotent[index] = idempotent
      if (route.isTopics) this.onTopic?.(route, index, maxBytes)
    }
  }
}
