import type { Method } from './method.ts'
import type { Route } from './route.ts'

/** What is known of publishing the topics of a route: if no rule allows one, its publisher is told once for a link. */
export class Publications {
  /** By index of a topic, from its first event on. */
  readonly #known: ('sent' | 'may' | 'may-not' | 'told' | undefined)[] = []
  /** Called once for each topic that is published here although no rule allows it. */
  onRefused: ((topic: string) => void) | undefined

  /** An event has been published: its publisher is told now, or when the hub has said so. */
  sent(route: Route, topic: Method): void {
    const index = route.indexOf(topic)
    const known = this.#known[index]
    if (known === 'may-not') this.#refused(route, index)
    else if (known === undefined) this.#known[index] = 'sent'
  }

  /** The hub has said what may be done with a topic; one that may not be published has no bytes. */
  said(route: Route, index: number, maxBytes: number): void {
    const mayPublish = route.status[index] === 0 && maxBytes > 0
    const before = this.#known[index]
    if (mayPublish) this.#known[index] = 'may'
    else if (before === 'sent') this.#refused(route, index)
    else if (before !== 'told') this.#known[index] = 'may-not'
  }

  #refused(route: Route, index: number): void {
    this.#known[index] = 'told'
    const name = route.methods[index]?.name
    if (name !== undefined) this.onRefused?.(name)
  }
}
