/** Every malformed message is refused with the path of the fault. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CompleteIPCMessage, validateIPCMessage } from '../../../src/faces/router/index.ts'
import { isViaductError } from '../../../src/wire/errors.ts'

const ID = '3b241101-e2bb-4255-8caf-4136c566a962'
const good = {
  id: ID,
  sequence: 1,
  type: 'request',
  source: 'renderer-1',
  target: 'main',
  method: 'arq.executeCommand',
  args: [{ commandId: 'save' }],
  options: { timeout: 5000, priority: 'normal', requiresResponse: true, retryCount: 0 },
  timestamp: 1_700_000_000_000,
  processId: 4711,
  threadId: 0,
}
const { target: _, options: __, ...required } = good

/** The path that a refusal names; `none` when the message is taken. */
function fault(data: unknown, methods?: string[]): string {
  try {
    validateIPCMessage(data, methods ? { methods } : {})
  } catch (error) {
    if (!isViaductError(error) || error.reason !== 'INVALID_MESSAGE') throw error
    expect(error.code).toBe('INVALID_ARGUMENT')
    expect(error.message).toContain(`IPCMessage: ${error.path}: `)
    return error.path ?? ''
  }
  return 'none'
}

function without(key: string): object {
  return Object.fromEntries(Object.entries(good).filter(([name]) => name !== key))
}

describe('validateIPCMessage', () => {
  it('takes what is well formed, copied, with its options filled', () => {
    expect(validateIPCMessage(good)).toEqual(good)
    expect(validateIPCMessage(good)).not.toBe(good)
    expect(validateIPCMessage(required)).toEqual({ ...required, options: good.options })
    expect(validateIPCMessage({ ...required, type: 'notification' }).options.requiresResponse).toBe(false)
    expect(validateIPCMessage({ ...good, options: { retryCount: 2 } }).options).toEqual({
      ...good.options,
      retryCount: 2,
    })
    expect(validateIPCMessage(JSON.parse(JSON.stringify(good)))).toEqual(good)
    expect(fault(Object.assign(Object.create(null), good))).toBe('none')
  })

  it.each(Object.keys(required))('refuses one without %s', (key) => {
    expect(fault(without(key))).toBe(key)
    expect(fault({ ...good, [key]: undefined })).toBe(key)
    // What a prototype has is not there.
    expect(fault(Object.setPrototypeOf(without(key), null))).toBe(key)
    expect(fault(Object.create(good))).toBe('message')
  })

  const strange = [
    null,
    true,
    1.5,
    -1,
    Number.NaN,
    Infinity,
    '',
    'x y',
    {},
    [],
    ['a'],
    1n,
    Symbol.iterator,
    () => 1,
  ]
  it.each(Object.keys(good))('refuses %s of another type', (key) => {
    const fits: Record<string, (value: unknown) => boolean> = {
      args: Array.isArray,
      source: (value) => value === 'x y',
      target: (value) => value === 'x y',
      options: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    }
    const tried = strange.filter((value) => !fits[key]?.(value))
    expect(tried.length).toBeGreaterThan(10)
    for (const value of tried) expect(fault({ ...good, [key]: value }), String(value)).toBe(key)
  })

  it.each([
    ['timeout', [0, -1, Number.NaN, Infinity, '5000', null, 2 ** 31]],
    ['priority', ['control', 'urgent', 'constructor', '__proto__', 1, null]],
    ['requiresResponse', ['true', 1, 0]],
    ['retryCount', [-1, 1.5, 101, '3', null, Infinity]],
  ] as const)('refuses a bad options.%s', (key, values) => {
    for (const value of values)
      expect(fault({ ...good, options: { [key]: value } }), String(value)).toBe(`options.${key}`)
  })

  it('refuses fields that are none', () => {
    expect(fault({ ...good, extra: 1 })).toBe('extra')
    expect(fault({ ...good, [Symbol('s')]: 1 })).toBe('Symbol(s)')
    expect(fault({ ...good, options: { retries: 1 } })).toBe('options.retries')
    expect(fault({ ...good, constructor: 1 })).toBe('constructor')
    expect(fault(JSON.parse(`{"__proto__":{"id":"${ID}"}}`))).toBe('__proto__')
    expect(fault({ ...good, options: JSON.parse('{"__proto__":{"timeout":1}}') })).toBe('options.__proto__')
  })

  it('refuses what is no message at all', () => {
    for (const data of [
      undefined,
      null,
      1,
      'text',
      [],
      [good],
      () => good,
      new Map(),
      new Date(),
      new Error('x'),
    ])
      expect(fault(data)).toBe('message')
  })

  it('refuses accessors without asking them', () => {
    const asked: string[] = []
    const data = {
      ...required,
      get target(): string {
        asked.push('target')
        return 'main'
      },
    }
    expect(fault(data)).toBe('target')
    expect(
      fault({
        ...good,
        args: [
          {
            get a(): number {
              asked.push('a')
              return 1
            },
          },
        ],
      }),
    ).toBe('args[0].a')
    expect(asked).toEqual([])
  })

  it('refuses names of every object', () => {
    const names = [
      '__proto__',
      'constructor',
      'prototype.toString',
      'toString',
      'a.hasOwnProperty',
      'valueOf.x',
    ]
    for (const method of names) expect(fault({ ...good, method }), method).toBe('method')
    for (const id of ['__proto__', 'constructor', 'toString']) {
      expect(fault({ ...good, source: id })).toBe('source')
      expect(fault({ ...good, target: id })).toBe('target')
    }
    expect(fault({ ...good, args: [JSON.parse('{"a":[{"__proto__":{"admin":true}}]}')] })).toBe(
      'args[0].a[0].__proto__',
    )
    expect(fault({ ...good, args: [new Map([['k', JSON.parse('{"__proto__":1}')]])] })).toBe(
      'args[0].__proto__',
    )
  })

  it('refuses names of methods that are none, or not on the list', () => {
    for (const method of ['$hub.who', 'a..b', '.a', 'a.', 'a b', 'a/b', `a${'x'.repeat(256)}`, 'pages.*'])
      expect(fault({ ...good, method }), method).toBe('method')
    expect(fault(good, ['arq.executeCommand'])).toBe('none')
    expect(fault(good, ['arq.other'])).toBe('method')
    expect(fault(good, [])).toBe('method')
  })

  it('refuses what cannot be sent, with the path', () => {
    class Thing {}
    const cycle: unknown[] = []
    cycle.push(cycle)
    let deep: unknown = 1
    for (let depth = 0; depth < 70; depth++) deep = [deep]
    expect(fault({ ...good, args: [{ on: () => 1 }] })).toBe('args[0].on')
    expect(fault({ ...good, args: [1, new Thing()] })).toBe('args[1]')
    expect(fault({ ...good, args: [Symbol('s')] })).toBe('args[0]')
    expect(fault({ ...good, args: [cycle] })).toMatch(/^args\[0\]/)
    expect(fault({ ...good, args: [deep] })).toMatch(/^args\[0\]/)
  })

  it('refuses more than 10 MiB, as text, binary or many values', () => {
    const most = 10 * 1024 * 1024
    expect(fault({ ...good, args: ['x'.repeat(most)] })).toBe('args')
    expect(fault({ ...good, args: [new Uint8Array(most)] })).toBe('args')
    expect(fault({ ...good, args: [new Uint8Array(most / 2), new Uint8Array(most / 2)] })).toBe('args')
    expect(fault({ ...good, args: [new Uint8Array(most - 1024)] })).toBe('none')
  })

  it('checks the items of a batch', () => {
    const batch = (args: unknown): object => ({ ...without('method'), type: 'batch', args })
    expect(fault(batch([{ method: 'a.b', args: [1] }]))).toBe('none')
    expect(validateIPCMessage(batch([])).method).toBe('')
    expect(fault(batch([{ method: 'a.b', args: [] }, 1]))).toBe('args[1]')
    expect(fault(batch([{ args: [] }]))).toBe('args[0].method')
    expect(fault(batch([{ method: 'constructor', args: [] }]))).toBe('args[0].method')
    expect(fault(batch([{ method: 'a.b' }]))).toBe('args[0].args')
    expect(fault(batch([{ method: 'a.b', args: [], id: 1 }]))).toBe('args[0].id')
    expect(fault(batch([{ method: 'a.b', args: [] }]), ['a.c'])).toBe('args[0].method')
    expect(fault({ ...good, method: undefined })).toBe('method')
  })

  it('gives a message or a refusal with a path, whatever comes', () => {
    const field = fc.constantFrom(...Object.keys(good), '__proto__', 'toString', 'x')
    const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true })
    fc.assert(
      fc.property(fc.array(fc.tuple(field, anything), { maxLength: 4 }), (changes) => {
        const data = { ...good }
        for (const [key, value] of changes)
          Object.defineProperty(data, key, { value, enumerable: true, configurable: true })
        const path = fault(data)
        const checked: CompleteIPCMessage | undefined = path === 'none' ? validateIPCMessage(data) : undefined
        expect(checked === undefined ? path !== '' : Object.keys(checked).length >= 10).toBe(true)
        expect(Reflect.get(Object.prototype, 'admin')).toBe(undefined)
      }),
      { numRuns: 2000 },
    )
  })
})
