/** What the page's peer has beside what the cases of links say of it: the members of the whole one. */
import { expect, it } from 'vitest'
import { z } from 'zod'
import { type PagePeer, peerOver, type Transport } from '../../src/browser.ts'
import { contract, method, stream } from '../../src/browserContracts.ts'
import { LinkPeer } from '../../src/contract/linkPeer.ts'
import { peerOver as wholePeerOver } from '../../src/transports/links.ts'
import { memoryTransports } from '../../src/transports/memory.ts'
import { collect, watched } from '../core/rig.ts'

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

it('has the members of the whole peer but for its core and for targets', () => {
  const [left] = memoryTransports()
  const peer = peerOver(left)
  const own = ['constructor', 'core', 'adopt', 'notePolicies', 'to']
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

it.each<[what: string, make: Make]>([
  ['a page', peerOver],
  ['the whole peer', wholePeerOver],
])('%s refuses to serve without a handler, or with one that nobody declared', async (_, make) => {
  const [left, right] = memoryTransports()
  const [peer, far] = [make(left), peerOver(right)]
  const { title, ...others } = handlers
  // @ts-expect-error title is missing
  expect(() => peer.serve(pages, others)).toThrow('pages: no handler for title')
  // @ts-expect-error nobody declared tittle
  expect(() => peer.serve(pages, { ...handlers, tittle: title })).toThrow('pages: no method is called tittle')
  peer.serve(pages, { title }, { partial: true })
  expect(await far.client(pages).title({ url: 'a' })).toBe('title of a')
  await expect(far.call('pages.words', 'a')).rejects.toMatchObject({ reason: 'METHOD_NOT_FOUND' })
  peer.close()
})

it.each(pairs)('%s: who drains without an end to it waits for what runs', async (_, near, far) => {
  const [left, right] = memoryTransports()
  const [caller, callee] = [near(left), far(right)]
  let open = (_answer: string): void => {}
  const gate = new Promise<string>((resolve) => {
    open = resolve
  })
  callee.handle('wait', () => gate)
  const answer = caller.call('wait')
  await caller.ping()
  const drain = watched(callee.drain(Number.POSITIVE_INFINITY))
  // A timer of more than its host knows ends after a millisecond.
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(drain.settled).toBe(false)
  open('done')
  expect(await answer).toBe('done')
  await drain.promise
  expect(callee.isClosed).toBe(true)
})

it.each(pairs)('%s: who drains goes as soon as its own last call has ended', async (_, near, far) => {
  const [left, right] = memoryTransports()
  const [caller, callee] = [near(left), far(right)]
  callee.handle('wait', async () => 'done')
  const answer = caller.call('wait')
  await caller.drain(Number.POSITIVE_INFINITY)
  expect(await answer).toBe('done')
  expect(await callee.closed).toBe('GOING_AWAY')
})

it('a link whose transport throws at its own end has ended all the same', async () => {
  let end = (): void => {}
  const peer = peerOver({
    send: () => true,
    attach(events) {
      end = () => events.close('TRANSPORT_CLOSED')
    },
    close() {
      throw new Error('no channel')
    },
  })
  const call = watched(peer.call('wait', 1, { timeoutMs: 0 }))
  const ping = watched(peer.ping())
  expect(end).toThrow('no channel')
  await expect(call.promise).rejects.toMatchObject({ reason: 'LINK_LOST' })
  await expect(ping.promise).rejects.toMatchObject({ reason: 'LINK_LOST' })
  expect(await peer.closed).toBe('TRANSPORT_CLOSED')
})
