import { MAX_SLOTS } from '../core/exchange.ts'
import { isNameOrPattern, isPattern, matches, overlap } from '../core/pattern.ts'
import { type RateLimits, Rates } from '../core/rates.ts'
import { ViaductError } from '../wire/errors.ts'
import {
  MAX_EXCHANGES,
  QUEUE_MESSAGES,
  TRUSTED_MAX_EXCHANGES,
  TRUSTED_MESSAGE_BYTES,
  TRUSTED_QUEUE_BYTES,
  TRUSTED_QUEUE_MESSAGES,
  UNTRUSTED_MESSAGE_BYTES,
  UNTRUSTED_QUEUE_BYTES,
} from '../wire/limits.ts'
import type { PortLimits } from './port.ts'
import { TAP_METHOD } from './tap.ts'

/** How far a peer is trusted (SECURITY.md, "Zones"). */
const ZONES = ['hub', 'trusted', 'semi', 'untrusted', 'remote', 'local', 'other'] as const
export type Zone = (typeof ZONES)[number]

/** A method by name, all of a contract as `pages.*`, or a method towards some targets only. */
export type CallRule = string | { readonly method: string; readonly to: string | readonly string[] }

/** What one type of peer, or one id, may do. Whatever no rule allows is denied. */
export interface PeerRules {
  readonly zone?: Zone
  readonly call?: readonly CallRule[]
  readonly publish?: readonly string[]
  readonly subscribe?: readonly string[]
  readonly limits?: Partial<PortLimits>
  /** Calls a second of each method, by name or pattern: `{ 'ai.analyze': 10, '*': 100 }`. Default: any number. */
  readonly rates?: RateLimits
  /** The name is the id of a process that joins by itself: its key is written to the runtime folder. */
  readonly join?: boolean
}

/** Rules by process type or peer id; a rule under an id adds to those of its type. */
export type Rules = Readonly<Record<string, PeerRules>>

/** Who asks, as the link says. */
export interface Subject {
  readonly id: string
  readonly type: string
  readonly zone: Zone
  readonly supervised: boolean
  /** Runs the hub: may use all of its own methods. */
  readonly operator: boolean
}

const ZONE_OF_TYPE: ReadonlyMap<string, Zone> = new Map([
  ['hub', 'hub'],
  ['main', 'trusted'],
  ['cli', 'local'],
  ['network', 'trusted'],
  ['ai', 'semi'],
  ['gpu', 'semi'],
  ['python', 'semi'],
  ['worker', 'semi'],
])

/** Methods of the hub's own that everybody may call. */
const EVERYBODY = new Set([
  '$hub.ping',
  '$hub.serve',
  '$hub.withdraw',
  '$hub.ready',
  '$hub.busy',
  '$hub.report',
  '$hub.route',
  '$hub.key',
  '$hub.keysOf',
])
/** Those that tell about others: for all but untrusted and remote peers. */
const READERS = new Set([
  '$hub.who',
  '$hub.watch',
  '$hub.describe',
  '$hub.stats',
  '$hub.metrics',
  '$hub.alerts',
])

/** Zones that may watch everybody's traffic; a rule cannot widen it. */
const WATCHERS: ReadonlySet<Zone> = new Set(['hub', 'trusted', 'local'])

const LIMIT_KEYS = new Set(['messageBytes', 'exchanges', 'queueBytes', 'queueMessages'])
/** Ids whose rates are remembered when they leave. */
const MAX_KNOWN_RATES = 10_000
const RULE_KEYS = new Set(['zone', 'call', 'publish', 'subscribe', 'limits', 'rates', 'join'])

export class Manifest {
  readonly #rules: ReadonlyMap<string, PeerRules>
  /** By id: whoever leaves and comes again goes on with what was left. */
  readonly #rates = new Map<string, Rates>()
  /** No manifest was given: supervised children of the trusted and semi-trusted zones may do everything. */
  readonly open: boolean

  constructor(rules?: Rules) {
    this.open = rules === undefined
    this.#rules = new Map(Object.entries(rules ?? {}))
  }

  /** Types and ids that have rules. */
  get names(): string[] {
    return [...this.#rules.keys()]
  }

  /** Ids of peers that join by themselves. */
  unsupervisedIds(): string[] {
    return [...this.#rules]
      .filter(([name, rules]) => rules.join === true && name !== 'cli')
      .map(([name]) => name)
  }

  zone(id: string, type: string): Zone {
    return this.#rules.get(id)?.zone ?? this.#rules.get(type)?.zone ?? ZONE_OF_TYPE.get(type) ?? 'untrusted'
  }

  limits(id: string, type: string): PortLimits {
    const zone = this.zone(id, type)
    const trusted = zone === 'trusted' || zone === 'hub'
    return {
      messageBytes: trusted ? TRUSTED_MESSAGE_BYTES : UNTRUSTED_MESSAGE_BYTES,
      exchanges: trusted ? TRUSTED_MAX_EXCHANGES : MAX_EXCHANGES,
      queueBytes: trusted ? TRUSTED_QUEUE_BYTES : UNTRUSTED_QUEUE_BYTES,
      queueMessages: trusted ? TRUSTED_QUEUE_MESSAGES : QUEUE_MESSAGES,
      ...this.#rules.get(type)?.limits,
      ...this.#rules.get(id)?.limits,
    }
  }

  /** How many calls a second a peer may make; undefined: any number. Rules of the id come before those of the type. */
  rates(id: string, type: string): Rates | undefined {
    const [own, shared] = [this.#rules.get(id)?.rates, this.#rules.get(type)?.rates]
    if (!own && !shared) return undefined
    let rates = this.#rates.get(id)
    if (!rates) {
      // Named twice: the first gives the order of the names, the last the numbers.
      rates = new Rates({ ...own, ...shared, ...own })
      this.#rates.set(id, rates)
      for (const oldest of this.#rates.keys()) {
        if (this.#rates.size <= MAX_KNOWN_RATES) break
        this.#rates.delete(oldest)
      }
    }
    return rates
  }

  /** Whether `subject` may call `method` on a target; `target` is an id, a type, or both. */
  mayCall(subject: Subject, method: string, targets: readonly string[]): boolean {
    if (method.startsWith('$hub.')) return this.#mayAskHub(subject, method)
    if (subject.zone === 'hub') return true
    if (this.open) return isFree(subject)
    return this.#some(
      subject,
      (peer) => peer.call,
      (rule) =>
        typeof rule === 'string'
          ? matches(rule, method)
          : matches(rule.method, method) &&
            targets.some((target) =>
              typeof rule.to === 'string' ? rule.to === target : rule.to.includes(target),
            ),
    )
  }

  mayPublish(subject: Subject, topic: string): boolean {
    if (isPattern(topic)) return false
    if (subject.zone === 'hub') return true
    // Such names are the hub's own.
    if (topic.startsWith('$')) return false
    return this.open
      ? isFree(subject)
      : this.#some(
          subject,
          (peer) => peer.publish,
          (rule) => matches(rule, topic),
        )
  }

  /** Of a pattern: whether there may be a topic that it matches and `subject` may subscribe to. */
  maySubscribe(subject: Subject, topic: string): boolean {
    if (subject.zone === 'hub') return true
    if (topic.startsWith('$hub.'))
      return subject.operator || subject.zone === 'trusted' || subject.zone === 'local'
    return this.open
      ? isFree(subject)
      : this.#some(
          subject,
          (peer) => peer.subscribe,
          (rule) => (isPattern(topic) ? overlap(rule, topic) : matches(rule, topic)),
        )
  }

  #mayAskHub(subject: Subject, method: string): boolean {
    if (EVERYBODY.has(method)) return true
    if (subject.operator) return true
    if (method === TAP_METHOD) return WATCHERS.has(subject.zone)
    if (READERS.has(method)) return subject.zone !== 'untrusted' && subject.zone !== 'remote'
    return (
      subject.zone === 'hub' ||
      this.#some(
        subject,
        (peer) => peer.call,
        (rule) => rule === method,
      )
    )
  }

  /** Whether a rule of the subject's type or id passes the test. */
  #some<Rule>(
    subject: Subject,
    rulesOf: (peer: PeerRules) => readonly Rule[] | undefined,
    test: (rule: Rule) => boolean,
  ): boolean {
    for (const name of new Set([subject.type, subject.id])) {
      const peer = this.#rules.get(name)
      if (peer && rulesOf(peer)?.some(test)) return true
    }
    return false
  }
}

function isFree(subject: Subject): boolean {
  return subject.zone === 'trusted' || (subject.supervised && subject.zone === 'semi')
}

/**
 * Checks rules and fixes them. Everything that no rule allows is denied.
 *
 * @throws ViaductError INVALID_ARGUMENT / MANIFEST_INVALID with the path of the fault.
 */
export function manifest(rules: Rules): Rules {
  for (const [name, rule] of Object.entries(rules)) {
    if (!/^[a-zA-Z0-9_-]{1,64}$/.test(name)) invalid(name, 'a type or id is 1 to 64 letters, digits, - or _')
    for (const key of Object.keys(rule)) {
      if (!RULE_KEYS.has(key)) invalid(`${name}.${key}`, `unknown; known are ${[...RULE_KEYS].join(', ')}`)
    }
    if (rule.zone !== undefined && !ZONES.includes(rule.zone))
      invalid(`${name}.zone`, `one of ${ZONES.join(', ')}`)
    for (const [key, value] of Object.entries(rule.limits ?? {})) {
      if (!LIMIT_KEYS.has(key))
        invalid(`${name}.limits.${key}`, `unknown; known are ${[...LIMIT_KEYS].join(', ')}`)
      if (!Number.isInteger(value) || value < 1 || (key === 'exchanges' && value > MAX_SLOTS)) {
        invalid(
          `${name}.limits.${key}`,
          `a whole number from 1${key === 'exchanges' ? ` to ${MAX_SLOTS}` : ''}`,
        )
      }
    }
    if (rule.rates !== undefined && !isRecord(rule.rates))
      invalid(`${name}.rates`, 'calls a second by method')
    for (const [method, perSecond] of Object.entries(rule.rates ?? {})) {
      if (!isNameOrPattern(method))
        invalid(`${name}.rates.${method}`, 'a name as "pages.analyze", "pages.*" or "*"')
      if (typeof perSecond !== 'number' || !(perSecond > 0))
        invalid(`${name}.rates.${method}`, 'calls a second, a number over 0')
    }
    for (const key of ['call', 'publish', 'subscribe'] as const) {
      const list: readonly unknown[] | undefined = rule[key]
      if (list === undefined) continue
      if (!Array.isArray(list)) invalid(`${name}.${key}`, 'a list of names')
      list.forEach((entry: unknown, index) => {
        const method = typeof entry === 'object' && entry !== null && 'method' in entry ? entry.method : entry
        if (typeof method !== 'string' || !/^(\*|[$\w.-]+(\.\*)?)$/.test(method)) {
          invalid(`${name}.${key}[${index}]`, 'a name as "pages.analyze", "pages.*" or "*"')
        }
      })
    }
  }
  return rules
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(path: string, text: string): never {
  throw new ViaductError('INVALID_ARGUMENT', `manifest: ${path}: ${text}`, {
    reason: 'MANIFEST_INVALID',
    path,
  })
}
