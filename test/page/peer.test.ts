/** What the page's peer has beside what the cases of links say of it: the members of the whole one. */
import { expect, it } from 'vitest'
import { z } from 'zod'
import { contract, method, type PagePeer, peerOver, stream, type Transport } from '../../src/browser.ts'
import { LinkPeer } from '../../src/contract/linkPeer.ts'
import { peerOver as wholePeerOver } from '../../src/transports/links.ts'
import { memoryTransports } from '../../src/transports/memory.ts'
import { collect } from '../core/rig.ts'

const pages = contract('pages', {
  title: method({ input: z.object({ url: z.string() }), output: z.string() }),
  words: stream({ input: z.string(), item: z.string() }),
})
/** Whoever is written for the small one runs with the whole one. */
type Make = (transport: Transport) => Omit<PagePeer, 'openCalls'>
const pairs: readonly [what: string, near: Make, far: Make][] = [
  ['a page calls the whole peer', peerOver, wholePeerOver],
  ['the whole peer calls a page', wholePeerOver, peerOver],
  ['a page calls a page', peerOver, peerOver],
]

const handlers = {
  title: ({ url }: { url: string }) => `title of ${url}`,
  async *words(text: string) {
    yield* text.split(' ')
  },
}

it('has the members of the whole peer but for its core', () => {
  const [left] = memoryTransports()
  const peer = peerOver(left)
  const own = ['constructor', 'core', 'adopt', 'notePolicies']
  const members = Object.getOwnPropertyNames(LinkPeer.prototype).filter((name) => !own.includes(name))
  expect(members.length).toBeGreaterThan(12)
  expect(Object.keys(peer).sort()).toEqual([...members, 'openCalls'].sort())
  peer.close()
})

it.each(pairs)('%s by a contract', async (_, near, far) => {
  const [left, right] = memoryTransports()
  const [caller, callee] = [near(left), far(right)]
  const served = callee.serve(pages, handlers)
  const api = caller.client(pages, undefined, { validate: true })
  expect(await api.title({ url: 'a' })).toBe('title of a')
  expect(await collect(api.words('one two three'))).toEqual(['one', 'two', 'three'])
  const wrong: unknown = { url: 7 }
  await expect(caller.call('pages.title', wrong)).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    reason: 'INVALID_INPUT',
    path: 'input.url',
  })
  await served.withdraw()
  await expect(api.title({ url: 'a' })).rejects.toMatchObject({
    reason: 'METHOD_NOT_FOUND',
    fate: 'not-sent',
  })
  caller.close()
  expect(await callee.closed).toBe('GOING_AWAY')
})
