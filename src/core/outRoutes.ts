import { ViaductError } from '../wire/errors.ts'
import * as KIND from '../wire/kind.ts'
import { MAX_ROUTES } from '../wire/limits.ts'
import type { Message } from './message.ts'
import type { Method } from './method.ts'
import type { Output } from './output.ts'
import { Route, type RouteTarget, targetKey } from './route.ts'
import { peerInfo, routeLines } from './served.ts'

/** The routes that this side has opened, by target and by number. */
export class OutRoutes {
  readonly #output: Output
  readonly #byTarget = new Map<string, Route>()
  readonly #byNumber: Route[] = []
  /** Called once for each topic that is published here although no rule allows it. */
  onRefused: ((topic: string) => void) | undefined

  constructor(output: Output) {
    this.#output = output
  }

  /**
   * The route to a target; its number is taken at once, and the far end is told with the first method.
   *
   * @throws ViaductError RESOURCE_EXHAUSTED / TOO_MANY_ROUTES
   */
  to(target: RouteTarget): Route {
    const key = targetKey(target)
    let route = this.#byTarget.get(key)
    if (!route) {
      if (this.#byNumber.length >= MAX_ROUTES) {
        throw new ViaductError(
          'RESOURCE_EXHAUSTED',
          `over ${MAX_ROUTES} targets on one link: call peers by type`,
          {
            reason: 'TOO_MANY_ROUTES',
            fate: 'not-sent',
          },
        )
      }
      route = new Route(this.#byNumber.length, target)
      this.#byTarget.set(key, route)
      this.#byNumber.push(route)
    }
    return route
  }

  /** The method's number on a route; the first use of a method opens it, in the same write as the call. */
  index(route: Route, method: Method): number {
    const known = route.indexOf(method)
    if (known >= 0) return known
    const index = route.define(method)
    const { target } = route
    const methods = [[index, method.name, method.fingerprint]]
    this.#output.control(KIND.OPEN, route.number, target ? { target, methods } : { methods })
    return index
  }

  /** An event has been published: if no rule allows that, its publisher is told, now or when the hub has said so. */
  sent(route: Route, topic: Method): void {
    const index = route.indexOf(topic)
    const known = route.published[index]
    if (known === 'may-not') this.#refused(route, index)
    else if (known === undefined) route.published[index] = 'sent'
  }

  #refused(route: Route, index: number): void {
    route.published[index] = 'told'
    const name = route.methods[index]?.name
    if (name !== undefined) this.onRefused?.(name)
  }

  /** ROUTE: what the far end says of a route. */
  receive(message: Message): void {
    const route = this.#byNumber[message.route]
    const body = message.readLinkBody()
    if (!body) this.#output.link.violation()
    if (!route || !body) return
    route.peer = peerInfo(body.peer) ?? route.peer
    for (const [index, status, same, maxBytes] of routeLines(body.methods)) {
      if (index >= route.methods.length) continue
      route.status[index] = status
      route.same[index] = same
      if (!route.isTopics) continue
      const mayPublish = status === 0 && maxBytes > 0
      const before = route.published[index]
      if (mayPublish || before !== 'sent') route.published[index] = mayPublish ? 'may' : 'may-not'
      else this.#refused(route, index)
    }
  }
}
