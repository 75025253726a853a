/** The order in which policies are passed: as it is written in the lists, in the guide, and as a call goes. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { connectPeers, contract, type Interceptor, method } from '../../src/index.ts'
import {
  CALLEE_ORDER,
  CALLER_ORDER,
  type CalleePolicies,
  type CallerPolicies,
  calleePolicies,
  callerPolicies,
} from '../../src/policies/index.ts'

const shop = contract('shop', {
  buy: method({ input: z.string().transform((text) => text.toUpperCase()), output: z.string() }),
})
const guide = readFileSync(new URL('../../docs/guides/policies.md', import.meta.url), 'utf8')

/** Says its name when a call passes, and once more when its reply comes back. */
function passing(name: string, log: string[]): Interceptor {
  return (next) => async (call) => {
    log.push(name)
    const reply = await next(call)
    log.push(`/${name}`)
    return reply
  }
}

function listed(side: string): string[] {
  const [, list = ''] = new RegExp(`^\\| ${side} \\| (.*) \\|$`, 'm').exec(guide) ?? []
  return [...list.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)
}

describe('the order of policies', () => {
  it('is that of the lists, out and back, whatever order the object has', async () => {
    const log: string[] = []
    const at = (name: string): Interceptor => passing(name, log)
    const caller: Required<CallerPolicies> = {
      codec: at('codec'),
      use: [at('use'), at('use 2')],
      tryTimeout: at('tryTimeout'),
      breaker: at('breaker'),
      retry: at('retry'),
      batch: at('batch'),
      dedupe: at('dedupe'),
      cache: at('cache'),
      timeout: at('timeout'),
      metrics: at('metrics'),
      log: at('log'),
      trace: at('trace'),
    }
    const callee: Required<CalleePolicies> = {
      cache: at('cache'),
      concurrency: at('concurrency'),
      dedupe: at('dedupe'),
      use: [at('use'), at('use 2')],
      rateLimit: at('rateLimit'),
      acl: at('acl'),
      metrics: at('metrics'),
      log: at('log'),
      trace: at('trace'),
      batch: at('batch'),
      codec: at('codec'),
    }
    const [here, there] = connectPeers()
    there.serve(shop, { buy: (what) => what }, { policies: calleePolicies(callee) })
    const api = here.client(shop, undefined, { policies: callerPolicies(caller) })
    expect(await api.buy('tea')).toBe('TEA')
    const twice = (order: readonly string[]): string[] =>
      order.flatMap((name) => (name === 'use' ? ['use', 'use 2'] : name === 'validate' ? [] : [name]))
    const way = [...twice(CALLER_ORDER), ...twice(CALLEE_ORDER)]
    expect(log).toEqual([...way, ...way.toReversed().map((name) => `/${name}`)])
    expect(Object.keys(caller).sort()).toEqual([...CALLER_ORDER].sort())
    expect([...Object.keys(callee), 'validate'].sort()).toEqual([...CALLEE_ORDER].sort())
    here.close()
  })

  it('has `validate` at its place: before it is what came, behind it what the schema gave', async () => {
    const seen: string[] = []
    const looking =
      (name: string): Interceptor =>
      (next) =>
      (call) => {
        seen.push(`${name} ${String(call.input)}`)
        return next(call)
      }
    const names = CALLEE_ORDER.filter((name) => name !== 'validate' && name !== 'use')
    const policies: { [name: string]: Interceptor } = Object.fromEntries(
      names.map((name) => [name, looking(name)]),
    )
    const [here, there] = connectPeers()
    there.serve(
      shop,
      { buy: (what) => what },
      { policies: calleePolicies({ ...policies, use: [looking('use')] }) },
    )
    await here.client(shop).buy('tea')
    const place = CALLEE_ORDER.indexOf('validate')
    expect(seen).toEqual([
      ...CALLEE_ORDER.slice(0, place).map((name) => `${name} tea`),
      ...CALLEE_ORDER.slice(place + 1).map((name) => `${name} TEA`),
    ])
    here.close()
  })

  it('is the one that the guide tells', () => {
    expect(listed('caller')).toEqual([...CALLER_ORDER])
    expect(listed('callee')).toEqual([...CALLEE_ORDER])
  })

  it('is made of options too, and names each policy for its statistics', () => {
    const named = (policies: Interceptor[]) => policies.map(({ policy }) => policy)
    expect(
      named(
        callerPolicies({
          trace: true,
          timeout: true,
          dedupe: {},
          retry: true,
          breaker: true,
          tryTimeout: true,
        }),
      ),
    ).toEqual(['trace', 'timeout', 'dedupe', 'retry', 'breaker', 'tryTimeout'])
    expect(
      named(
        calleePolicies({
          acl: { '*': [] },
          rateLimit: { limits: { '*': 1 } },
          dedupe: true,
          concurrency: {},
        }),
      ),
    ).toEqual(['acl', 'rateLimit', 'validate', 'dedupe', 'concurrency'])
    expect(named(callerPolicies({}))).toEqual([])
    expect(named(calleePolicies({}))).toEqual(['validate'])
  })
})
