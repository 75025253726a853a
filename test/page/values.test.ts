/** Rarer kinds of values are a part that a page's peer is given: what one without it says, sending and reading. */
import { describe, expect, it } from 'vitest'
import { type LinkOptions, type PagePeer, peerOver } from '../../src/browser.ts'
import { values } from '../../src/browserValues.ts'
import { connectPeers } from '../../src/index.ts'
import { peerOver as wholePeerOver } from '../../src/transports/links.ts'
import { memoryTransports } from '../../src/transports/memory.ts'

function pair(ours: LinkOptions, theirs: LinkOptions): [PagePeer, PagePeer] {
  const [left, right] = memoryTransports()
  const [near, far] = [peerOver(left, ours), peerOver(right, theirs)]
  far.handle('echo', (value) => value)
  return [near, far]
}

const kinds = [
  ['a bigint', 10n],
  ['a negative bigint', -(2n ** 70n)],
  ['a map', new Map([[1, { deep: new Set(['x']) }]])],
  ['a set', new Set([1, 'two'])],
  ['an error', new RangeError('no', { cause: 7 })],
] as const
/** What every page knows, however it is made. */
const plain = {
  json: [null, true, 1.5, -7, 'ä€𝄞', { nested: {} }],
  none: undefined,
  date: new Date(5),
  bytes: new Uint8Array([1, 2]),
  floats: new Float64Array([0.5]),
  buffer: new ArrayBuffer(3),
}
const TEXT = 'bigint, Map, Set and Error need viaduct/browser/values'

describe('values of a page’s peer', () => {
  it.each(kinds)('%s comes back with the part', async (_, value) => {
    const [near] = pair({ values }, { values })
    expect(await near.call('echo', { value })).toEqual({ value })
    near.close()
  })

  it('plain ones need no part', async () => {
    const [near] = pair({}, {})
    expect(await near.call('echo', plain)).toEqual(plain)
    near.close()
  })

  it.each(kinds)(
    '%s is refused by a sender that lacks it, with its path, and nothing leaves',
    async (_, value) => {
      const [near, far] = pair({}, { values })
      let ran = 0
      far.handle('run', () => ++ran)
      await expect(near.call('run', { list: [value] })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'UNSENDABLE',
        path: 'input.list[0]',
        fate: 'not-sent',
        message: expect.stringContaining(TEXT),
      })
      expect(await near.call('run')).toBe(1)
      near.close()
    },
  )

  it.each(kinds)(
    '%s is refused by a receiver that lacks it, whose handler does not run',
    async (_, value) => {
      const [near, far] = pair({ values }, {})
      let ran = 0
      far.handle('run', () => ++ran)
      await expect(near.call('run', value)).rejects.toMatchObject({
        code: 'UNIMPLEMENTED',
        message: expect.stringContaining(TEXT),
      })
      expect(await near.call('run')).toBe(1)
      near.close()
    },
  )

  it.each(kinds)(
    '%s as an answer fails the call of a caller that lacks it, and no other',
    async (_, value) => {
      const [left, right] = memoryTransports()
      const near = peerOver(left)
      wholePeerOver(right).handle('give', (which) => (which === 'rare' ? value : plain))
      await expect(near.call('give', 'rare')).rejects.toMatchObject({
        code: 'UNIMPLEMENTED',
        message: expect.stringContaining(TEXT),
      })
      expect(await near.call('give', 'plain')).toEqual(plain)
      near.close()
    },
  )

  it('what is of no kind at all is refused with the part as without', async () => {
    class Own {}
    for (const options of [{ values }, {}]) {
      const [near] = pair(options, options)
      for (const value of [new Own(), () => {}, Symbol('s'), new WeakMap(), class extends Map {}]) {
        await expect(near.call('echo', [value])).rejects.toMatchObject({
          reason: 'UNSENDABLE',
          path: 'input[0]',
        })
      }
      near.close()
    }
  })

  it('an answer that its handler’s peer cannot send fails the call', async () => {
    const [near, far] = pair({ values }, {})
    far.handle('give', () => ({ at: 1n }))
    await expect(near.call('give')).rejects.toMatchObject({ code: 'INTERNAL', path: 'output.at' })
    near.close()
  })

  it('errors that are thrown need no part', async () => {
    const [near, far] = pair({}, {})
    far.handle('fail', () => {
      throw new RangeError('too far', { cause: new TypeError('odd') })
    })
    await expect(near.call('fail')).rejects.toMatchObject({ code: 'UNKNOWN', message: 'too far' })
    near.close()
  })

  it('the whole peer has them all', async () => {
    const [here, there] = connectPeers()
    there.handle('echo', (value) => value)
    for (const [, value] of kinds) expect(await here.call('echo', value)).toEqual(value)
    here.close()
  })
})
