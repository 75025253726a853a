import { type } from 'arktype'
import fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import {
  connectPeers,
  contract,
  method,
  type Reply,
  stream,
  unchecked,
  ViaductError,
} from '../../src/index.ts'
import { log } from '../../src/policies/index.ts'
import { VirtualClock } from '../../src/testing/index.ts'
import { processorMs } from '../support/processor.ts'
import { incoming, later, outgoing } from './calls.ts'

const SECRET = 'hunter2'

/** What a log keeps of a call with this input. */
function loggedInput(
  input: unknown,
  schema: Parameters<typeof method>[0]['input'],
  redact: readonly string[] = [],
) {
  const { methods } = contract('users', { add: method({ input: schema ?? unchecked() }) })['~contract']
  const add = methods.get('add')
  if (!add) throw new Error('no method')
  const policy = log({ values: true, redact })
  policy(() => ({ value: undefined }))(outgoing(input, {}, { method: add }))
  return policy.entries()[0]?.input
}

const secret = z.string().meta({ writeOnly: true })

describe('log', () => {
  it('keeps who, what, how long and how it went, of the last calls', async () => {
    const clock = new VirtualClock(50)
    const policy = log({ maxEntries: 3, clock, wallClock: () => 1_000 + clock.now() })
    let reply: () => Reply | Promise<Reply> = () => ({ value: 1 })
    const next = policy(() => reply())
    await next(outgoing('a', { traceparent: 'trace' }, { target: { type: 'ai' } }))
    const slow = later<Reply>()
    reply = () => slow.promise
    const waiting = next(incoming('b', 'main'))
    await clock.advance(20)
    slow.resolve({ value: 2 })
    await waiting
    reply = () => {
      throw new ViaductError('UNAVAILABLE', 'away', { reason: 'AWAY' })
    }
    expect(() => next(outgoing('c'))).toThrow('away')
    expect(policy.entries()).toEqual([
      {
        time: 1_050,
        side: 'caller',
        method: 'pages.analyze',
        peer: 'type ai',
        durationMs: 0,
        code: 'OK',
        traceparent: 'trace',
      },
      { time: 1_050, side: 'callee', method: 'pages.analyze', peer: 'main', durationMs: 20, code: 'OK' },
      expect.objectContaining({ code: 'UNAVAILABLE', reason: 'AWAY' }),
    ])
    reply = () => Promise.reject(new TypeError('oh'))
    await expect(next(outgoing('d'))).rejects.toThrow('oh')
    expect(policy.entries().map(({ code }) => code)).toEqual(['OK', 'UNAVAILABLE', 'UNKNOWN'])
    expect(policy.stats()).toEqual({ calls: 4, failures: 2 })
    policy.clear()
    expect(policy.entries()).toEqual([])
  })

  it('keeps the last 1,000 in their order', async () => {
    const policy = log({ values: true })
    const next = policy(() => ({ value: 0 }))
    for (let n = 0; n < 2_345; n++) next(outgoing(n))
    expect(policy.entries().map(({ input }) => input)).toEqual(
      Array.from({ length: 1_000 }, (_, at) => 1_345 + at),
    )
  })

  it('writes streams down when they have ended, and one-way calls as they were taken', async () => {
    const api = contract('numbers', { count: stream({ input: z.number(), item: z.number() }) })
    const [a, b] = connectPeers()
    const policy = log()
    b.serve(
      api,
      {
        async *count(to) {
          for (let n = 0; n < to; n++) yield n
          if (to === 0) throw new Error('nothing')
        },
      },
      { policies: [policy] },
    )
    const client = a.client(api)
    for await (const _ of client.count(2));
    await expect.poll(() => policy.entries().map(({ code }) => code)).toEqual(['OK'])
    await client.count(0).output.catch(() => {})
    await expect.poll(() => policy.entries().map(({ code }) => code)).toEqual(['OK', 'UNKNOWN'])
    a.close()

    const oneWay = log()
    const taken = [true, false]
    const next = oneWay(() => ({ value: taken.shift() }))
    // At once, so that `notify` can say whether the message was taken.
    expect(next(outgoing(1, {}, { oneWay: true }))).toEqual({ value: true })
    expect(next(outgoing(1, {}, { oneWay: true }))).toEqual({ value: false })
    expect(oneWay.entries().map(({ reason = 'OK' }) => reason)).toEqual(['OK', 'NOT_TAKEN'])
  })

  it('ends no call when what writes it throws, rejects, or meets what cannot be read', async () => {
    const hostile = Object.defineProperty({}, 'field', {
      enumerable: true,
      get() {
        throw new Error('do not look')
      },
    })
    for (const write of [
      () => {
        throw new Error('disk full')
      },
      async () => {
        throw new Error('disk full')
      },
    ]) {
      const policy = log({ values: true, write })
      const next = policy(() => ({ value: hostile }))
      expect(next(outgoing(hostile))).toEqual({ value: hostile })
      expect(policy.entries()[0]).toMatchObject({ code: 'OK', input: '[unreadable]', output: '[unreadable]' })
    }
  })

  it('keeps no values unless asked to', () => {
    const policy = log()
    policy(() => ({ value: SECRET }))(outgoing(SECRET))
    expect(JSON.stringify(policy.entries())).not.toContain(SECRET)
  })

  it('refuses options that will not do', () => {
    for (const [options, path] of [
      [{ maxEntries: 0 }, 'log.maxEntries'],
      [{ redact: ['password'] }, 'log.redact'],
      [{ value: true }, 'log.value'],
    ] as const) {
      expect(() => Reflect.apply(log, undefined, [options])).toThrow(
        expect.objectContaining({ reason: 'BAD_OPTION', path }),
      )
    }
  })
})

describe('redaction', () => {
  it.each([
    ['a property', z.object({ name: z.string(), password: secret }), { name: 'Ann', password: SECRET }],
    ['a format', z.object({ pin: z.string().meta({ format: 'password' }) }), { pin: SECRET }],
    ['the whole', secret, SECRET],
    ['what is optional', z.object({ password: secret.optional() }), { password: SECRET }],
    [
      'an object',
      z.object({ card: z.object({ n: z.string() }).meta({ writeOnly: true }) }),
      { card: { n: SECRET } },
    ],
    ['a list', z.object({ users: z.array(z.object({ token: secret })) }), { users: [{ token: SECRET }] }],
    ['a tuple', z.tuple([z.string(), secret]), ['a', SECRET]],
    ['the rest of a tuple', z.tuple([z.string()], secret), ['a', SECRET, SECRET]],
    [
      'a union',
      z.union([z.object({ by: z.literal('key'), key: secret }), z.string()]),
      { by: 'key', key: SECRET },
    ],
    ['an intersection', z.object({ a: z.string() }).and(z.object({ b: secret })), { a: 'a', b: SECRET }],
    ['a record', z.record(z.string(), secret), { any: SECRET }],
    ['a record of objects', z.record(z.string(), z.object({ token: secret })), { any: { token: SECRET } }],
    ['names', z.record(secret, z.number()), { [SECRET]: 1 }],
    [
      'what stands beside a date',
      z.object({ at: z.date(), token: secret }),
      { at: new Date(0), token: SECRET },
    ],
    ['a default', z.object({ token: secret.default('') }), { token: SECRET }],
    ['what is transformed', z.object({ token: secret.transform((text) => text.length) }), { token: SECRET }],
    ['what is reused', reused(), { one: { token: SECRET }, other: [{ token: SECRET }] }],
    ['what contains itself', recursive(), { token: SECRET, below: [{ token: SECRET, below: [] }] }],
    ['a property of an odd name', z.object({ 'a.b[]': secret, a: z.string() }), { 'a.b[]': SECRET, a: 'a' }],
    ['a secret misspelt', z.object({ password: secret }), { pasword: SECRET }],
    ['a secret in the wrong place', z.object({ password: secret }), SECRET],
    ['a list in place of an object', z.object({ password: secret }), [{ password: SECRET }]],
    ['an error', z.object({ password: secret, error: z.any() }), { error: new Error(SECRET) }],
    ['a map', z.object({ password: secret, map: z.any() }), { map: new Map([[SECRET, SECRET]]) }],
    [
      'arktype',
      type({ name: 'string', token: type('string').configure({ format: 'password' }) }),
      { name: 'Ann', token: SECRET },
    ],
  ])('shows nothing of %s', (_, schema, input) => {
    const shown = loggedInput(input, schema)
    expect(JSON.stringify(shown)).not.toContain(SECRET)
  })

  it('shows the rest', () => {
    const schema = z.object({
      name: z.string(),
      at: z.date(),
      ids: z.array(z.number()),
      by: z.union([z.literal('key'), z.object({ kind: z.string() })]),
      password: secret,
    })
    const at = new Date(0)
    const input = { name: 'Ann', at, ids: [1, 2], by: { kind: 'x' }, password: SECRET }
    expect(loggedInput(input, schema)).toEqual({ ...input, at: String(at), password: '[redacted]' })
    expect(loggedInput({ name: 7, other: 1 }, schema)).toEqual({
      name: '[not in the schema]',
      other: '[not in the schema]',
    })
    // What a record or a reference describes is described.
    const inner = z.record(z.string(), z.object({ token: secret, n: z.number() }))
    expect(loggedInput({ any: { token: SECRET, n: 1 } }, inner)).toEqual({
      any: { token: '[redacted]', n: 1 },
    })
    const node = { token: SECRET, n: 2, below: [] }
    expect(loggedInput({ token: SECRET, n: 1, below: [node] }, recursive())).toMatchObject({
      n: 1,
      below: [{ n: 2 }],
    })
    // Where nothing is marked, nothing is left out.
    expect(loggedInput({ name: 7, other: [1] }, z.object({ name: z.string() }))).toEqual({
      name: 7,
      other: [1],
    })
  })

  it('leaves out paths, also of schemas that cannot mark', () => {
    const schema = v.object({ users: v.array(v.object({ token: v.string() })), headers: v.any() })
    const input = {
      users: [{ token: SECRET }, { token: SECRET }],
      headers: { 'x.y': SECRET, z: { a: SECRET } },
      n: 1,
    }
    expect(loggedInput(input, schema, ['input.users[].token', 'input.headers.*'])).toEqual({
      users: [{ token: '[redacted]' }, { token: '[redacted]' }],
      headers: { 'x.y': '[redacted]', z: '[redacted]' },
      n: 1,
    })
    expect(loggedInput(input, schema, ['input'])).toBe('[redacted]')
  })

  it('shows nothing where a library that can mark cannot tell', () => {
    const schema = {
      '~standard': {
        version: 1 as const,
        vendor: 'own',
        validate: (value: unknown) => ({ value }),
        jsonSchema: {
          input: () => {
            throw new Error('a date')
          },
        },
      },
    }
    expect(loggedInput({ token: SECRET }, schema)).toBe('[its schema gives no JSON Schema]')
  })

  it('reads outputs by their own schema', async () => {
    const users = contract('users', {
      get: method({ input: z.string(), output: z.object({ id: z.string(), token: secret }) }),
    })
    const [a, b] = connectPeers()
    b.serve(users, { get: (id) => ({ id, token: SECRET }) })
    const policy = log({ values: true })
    const got = await a.client(users, undefined, { policies: [policy] }).get('1')
    expect(got.token).toBe(SECRET)
    expect(policy.entries()).toMatchObject([{ input: '1', output: { id: '1', token: '[redacted]' } }])
    a.close()
  })

  it('cuts what is long, deep or wide, in little time', () => {
    let wide: unknown = 'leaf'
    for (let depth = 0; depth < 7; depth++) wide = Array(50).fill(wide)
    const cyclic: { self?: unknown; text: string } = { text: 'x'.repeat(10_000) }
    cyclic.self = cyclic
    const policy = log({ values: true })
    const next = policy(() => ({ value: new Uint8Array(5) }))
    const began = processorMs()
    for (const input of [
      wide,
      cyclic,
      Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`${n}`, n])),
    ]) {
      next(outgoing(input))
    }
    expect(processorMs() - began).toBeLessThan(1_000)
    for (const { input } of policy.entries()) expect(JSON.stringify(input).length).toBeLessThan(100_000)
    expect(policy.entries()[2]?.input).toMatchObject({ '…': '950 more' })
    expect(policy.entries()[0]?.output).toBe('[5 bytes]')
  })

  it('never shows a secret, whatever the schema is and whatever comes', () => {
    fc.assert(
      fc.property(schemas, fc.boolean(), ({ schema, value }, damaged) => {
        const input = damaged ? { odd: [value] } : value
        const shown = JSON.stringify(loggedInput(input, z.object({ marked: secret, value: schema })))
        const inside = JSON.stringify(
          loggedInput({ value: input }, z.object({ marked: secret, value: schema })),
        )
        expect(shown).not.toContain(SECRET)
        expect(inside).not.toContain(SECRET)
      }),
      { numRuns: 500 },
    )
  })
})

interface Example {
  readonly schema: z.ZodType
  readonly value: unknown
}

/** Schemas with secrets at any place, and a value of each in which every secret is there. */
const schemas = fc.letrec<{ any: Example }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant<Example>({ schema: secret, value: SECRET }),
    fc.constant<Example>({ schema: z.string(), value: 'public' }),
    tie('any').map(({ schema, value }) => ({ schema: z.array(schema), value: [value, value] })),
    tie('any').map(({ schema, value }) => ({ schema: schema.optional(), value })),
    tie('any').map(({ schema, value }) => ({ schema: z.record(z.string(), schema), value: { key: value } })),
    fc.tuple(tie('any'), tie('any')).map(([one, other]) => ({
      schema: z.union([one.schema, z.tuple([other.schema, one.schema])]),
      value: [other.value, one.value],
    })),
    fc.tuple(fc.string(), tie('any'), tie('any')).map(([name, one, other]) => ({
      schema: z.object({ [`n${name}`]: one.schema, other: other.schema }),
      value: { [`n${name}`]: one.value, other: other.value },
    })),
    fc.tuple(tie('any'), tie('any')).map(([one, other]) => ({
      schema: z.object({ one: one.schema }).and(z.object({ other: other.schema })),
      value: { one: one.value, other: other.value },
    })),
  ),
})).any

function reused() {
  const user = z.object({ token: secret }).meta({ id: 'user' })
  return z.object({ one: user, other: z.array(user) })
}

function recursive() {
  const tree = z.object({
    token: secret,
    n: z.number().default(0),
    get below() {
      return z.array(tree)
    },
  })
  return tree
}
