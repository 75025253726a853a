import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { contract, topic } from '../../src/contract/contract.ts'
import { publish, subscribe, subscribeAll } from '../../src/contract/topics.ts'
import type { ViaductError } from '../../src/wire/errors.ts'
import { collect, DirectLink } from './directLink.ts'
import { pages } from './samples.ts'

describe('topics', () => {
  it('publishes under the full name, with a key if there is one', () => {
    const link = new DirectLink()
    expect(publish(link, pages.opened, { tabId: 1, url: 'u' })).toBe(true)
    publish(link, pages.opened, { tabId: 2, url: 'u' }, { key: 'k' })
    expect(link.published).toEqual([
      ['pages.opened', { tabId: 1, url: 'u' }, undefined],
      ['pages.opened', { tabId: 2, url: 'u' }, { key: 'k' }],
    ])
  })

  it('gives subscribers what the schema makes of an event', async () => {
    const link = new DirectLink()
    const made = contract('a', { length: topic({ data: z.string().transform(async (text) => text.length) }) })
    publish(link, made.length, 'four')
    expect(await collect(subscribe(link, made.length))).toEqual([4])
  })

  it('leaves out what does not fit, counts it and says why', async () => {
    const link = new DirectLink()
    const errors: ViaductError[] = []
    link.events.push({ tabId: 1, url: 'a' }, { tabId: 'x', url: 'b' }, { tabId: 3, url: 'c' })
    const subscription = subscribe(link, pages.opened, { onInvalid: (error) => errors.push(error) })
    expect(await collect(subscription)).toEqual([
      { tabId: 1, url: 'a' },
      { tabId: 3, url: 'c' },
    ])
    expect(subscription.invalid).toBe(1)
    expect(errors).toMatchObject([{ code: 'INVALID_ARGUMENT', reason: 'INVALID_DATA', path: 'data.tabId' }])
  })

  it('hands on everything without validation, and the rest of the subscription always', async () => {
    const link = new DirectLink()
    link.events.push('anything')
    const subscription = subscribe(link, pages.opened, { validate: false })
    expect(await collect(subscription)).toEqual(['anything'])
    expect([subscription.dropped, subscription.last, await subscription.ready]).toEqual([
      7n,
      undefined,
      undefined,
    ])
  })
})

describe('all topics of a contract', () => {
  const made = contract('a', {
    count: topic({ data: z.number() }),
    length: topic({ data: z.string().transform((text) => text.length) }),
  })

  it('come with their key, each as its schema makes it; others are left out', async () => {
    const link = new DirectLink()
    const errors: ViaductError[] = []
    publish(link, made.count, 1)
    publish(link, made.length, 'four')
    const other = contract('a', { count: topic({ data: z.string() }), added: topic({ data: z.string() }) })
    publish(link, other.count, 'no number')
    publish(link, other.added, 'of a later version')
    const subscription = subscribeAll(link, made, { onInvalid: (error) => errors.push(error) })
    expect(await collect(subscription)).toEqual([
      { key: 'count', topic: 'a.count', data: 1 },
      { key: 'length', topic: 'a.length', data: 4 },
    ])
    expect(link.patterns).toEqual(['a.*'])
    expect(subscription.invalid).toBe(2)
    expect(errors).toMatchObject([{ reason: 'INVALID_DATA', path: 'data' }, { reason: 'SKEW' }])
    expect(await collect(subscribeAll(link, made, { validate: false }))).toHaveLength(3)
  })

  it('of a pattern come as they are, and a pattern that is none is refused', async () => {
    const link = new DirectLink()
    publish(link, made.count, 1)
    expect(await collect(subscribeAll(link, '*'))).toEqual([{ topic: 'a.count', data: 1 }])
    for (const pattern of ['', 'a*', '*.a', 'a.*.b']) {
      expect(() => subscribeAll(link, pattern)).toThrow(/"pages\.\*" or "\*"/)
    }
  })
})
