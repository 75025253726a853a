import { afterEach, describe, expect, it } from 'vitest'
import { Peer } from '../../src/contract/peer.ts'
import { untyped } from '../../src/core/method.ts'
import { HubRig } from '../support/hubRig.ts'

const NAME = { code: 'INVALID_ARGUMENT', reason: 'BAD_METHOD', path: 'method' }
const echo = untyped('echo')

describe('what is no method', () => {
  const rig = new HubRig({ rules: { a: { call: ['*'], publish: ['*'], subscribe: ['*'] } } })
  let core: Awaited<ReturnType<HubRig['join']>>

  async function peer(): Promise<Peer> {
    core = await rig.join('a', 'a')
    core.handle(echo, (input) => input)
    await rig.settle()
    return new Peer(core)
  }

  /** The link lives, has no slot taken, and carries calls. */
  async function expectSound(): Promise<void> {
    await rig.settle()
    expect(core.isClosed).toBe(false)
    expect(core.openCalls).toBe(0)
    const answer = core.to({ id: 'a' }).call(echo, 7)
    await rig.settle()
    expect(await answer).toBe(7)
  }

  afterEach(() => core.close())

  it('is refused when it is published or subscribed', async () => {
    const a = await peer()
    // @ts-expect-error a name is no topic
    expect(() => a.publish('pages.opened', 1)).toThrow(expect.objectContaining(NAME))
    // @ts-expect-error a name is no topic
    expect(() => a.subscribe('pages.opened')).toThrow(expect.objectContaining(NAME))
    // @ts-expect-error a name is no topic
    expect(() => core.publish('pages.opened', 1)).toThrow('"pages.opened" is none: pass the method or topic')
    await expectSound()
  })

  it('is refused when it is called, streamed, sent or served', async () => {
    await peer()
    // @ts-expect-error a name is no method here
    await expect(core.call('echo', 1)).rejects.toMatchObject({ ...NAME, fate: 'not-sent' })
    // @ts-expect-error a name is no method here
    const items = core.stream('echo', 1)
    await expect(items[Symbol.asyncIterator]().next()).rejects.toMatchObject(NAME)
    await expect(items.output).rejects.toMatchObject(NAME)
    // @ts-expect-error a name is no method here
    expect(() => core.notify('echo', 1)).toThrow(expect.objectContaining(NAME))
    // @ts-expect-error a name is no method here
    expect(() => core.handle('echo', () => 1)).toThrow(expect.objectContaining(NAME))
    await expectSound()
  })

  it('has a name that no link carries', async () => {
    const a = await peer()
    await expect(a.call('x'.repeat(257))).rejects.toMatchObject(NAME)
    expect(() => a.handle('x'.repeat(257), () => 1)).toThrow(expect.objectContaining(NAME))
    expect(() => a.to({ id: 'x'.repeat(65) }).call(echo, 1)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'BAD_ID', path: 'target.id' }),
    )
    await expectSound()
  })

  it('has a target without a name; one target is one caller', async () => {
    await peer()
    expect(() => core.to({} as never)).toThrow(expect.objectContaining({ reason: 'BAD_ID' }))
    expect(core.to({ id: 'a' })).toBe(core.to({ id: 'a' }))
  })
})
