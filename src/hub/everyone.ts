import type { RouteAnswer, RouteRow } from './answers.ts'
import type { HubCore } from './core.ts'
import type { Port } from './port.ts'

/** A filter over all peers, as `$hub.route` takes it. */
export interface Filter {
  readonly types: ReadonlySet<string> | undefined
  readonly ids: ReadonlySet<string> | undefined
  readonly exclude: ReadonlySet<string>
}

/** Reads a filter; undefined when it is none. */
export function readFilter(value: unknown): Filter | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { type, ids, exclude } = { type: undefined, ids: undefined, exclude: undefined, ...value }
  const types = typeof type === 'string' ? [type] : type
  if (![types, ids, exclude].every(isNames)) return undefined
  return { types: setOf(types), ids: setOf(ids), exclude: setOf(exclude) ?? new Set() }
}

function isNames(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.every((name) => typeof name === 'string'))
}

function setOf(names: unknown): ReadonlySet<string> | undefined {
  return Array.isArray(names) ? new Set(names) : undefined
}

/**
 * Who but the asker serves one of the methods and passes a filter, and where of them it may be called. Peers where it
 * may not are named if the filter named them, or to those who may ask `$hub.who`. The hub itself only when it is named.
 */
export function everyone(hub: HubCore, asker: Port, filter: Filter, methods: readonly string[]): RouteAnswer {
  const { registry, manifest } = hub
  const { types, ids, exclude } = filter
  const subject = hub.subjectOf(asker)
  const maySee = manifest.mayCall(subject, '$hub.who', ['hub'])
  const passes = (port: Port): boolean => {
    const { id, type, zone } = port.info
    if (port.draining || exclude.has(id)) return false
    if ((port === asker || zone === 'hub') && !ids?.has(id)) return false
    return (ids?.has(id) ?? true) && (types?.has(type) ?? true)
  }
  const may = ({ info }: Port, name: string): boolean => manifest.mayCall(subject, name, [info.id, info.type])
  const there = registry.all().filter(passes)
  const serving = there.filter((port) => methods.some((name) => registry.served(port).has(name)))
  const allowed = serving.filter((port) =>
    methods.some((name) => registry.served(port).has(name) && may(port, name)),
  )
  const row = ({ info: { id, type, session, pid } }: Port): RouteRow => ({
    id,
    type,
    session,
    ...(maySee && pid !== undefined ? { pid } : {}),
  })
  const denied = serving.filter(
    (port) => !allowed.includes(port) && (maySee || ids?.has(port.info.id) === true),
  )
  const named = [...(types ?? []), ...(ids ?? [])]
  return {
    peers: allowed.map(row),
    denied: denied.map(row),
    methods: methods.map((name) => {
      const served = serving.filter((port) => registry.served(port).has(name))
      if (served.some((port) => may(port, name))) return { name, status: 'OK' }
      // Of names it is said whether or not somebody is there, so that the answer does not tell.
      const allows = named.length === 0 ? served.length === 0 : named.some((target) => mayName(target, name))
      if (!allows) return { name, status: 'PERMISSION_DENIED' }
      return { name, status: there.length === 0 ? 'TARGET_UNAVAILABLE' : 'METHOD_NOT_FOUND' }
    }),
  }

  function mayName(target: string, name: string): boolean {
    const type = ids?.has(target) ? registry.get(target)?.info.type : undefined
    return manifest.mayCall(subject, name, type === undefined ? [target] : [target, type])
  }
}
