/** Marks are a part that a page's peer is given: what one without them says, and that the part is all it takes. */
import { describe, expect, it } from 'vitest'
import { type LinkOptions, type PagePeer, peerOver } from '../../src/browser.ts'
import { marks } from '../../src/browserMarks.ts'
import { dedupe, retry, throughCaller, throughServer, timeout, trace } from '../../src/policies/index.ts'
import { memoryTransports } from '../../src/transports/memory.ts'

const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`

function pair(ours: LinkOptions, theirs: LinkOptions): [PagePeer, PagePeer] {
  const [left, right] = memoryTransports()
  const [near, far] = [peerOver(left, ours), peerOver(right, theirs)]
  far.handle('seen', (_, call) => [call.traceparent, call.idempotencyKey])
  return [near, far]
}

describe('marks of a page’s peer', () => {
  it.each([{ traceparent }, { idempotencyKey: 'k' }, { traceparent, idempotencyKey: 'k' }])(
    'are refused without the part, and nothing leaves: %o',
    async (options) => {
      const [near, far] = pair({}, { marks })
      let ran = 0
      far.handle('run', () => ++ran)
      await expect(near.call('run', 1, options)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'BAD_OPTION',
        path: 'options',
        fate: 'not-sent',
      })
      await expect(near.stream('run', 1, options).output).rejects.toMatchObject({ reason: 'BAD_OPTION' })
      expect(await near.call('run', 1, { traceparent: undefined, idempotencyKey: undefined })).toBe(1)
      near.close()
    },
  )

  it('are carried with it', async () => {
    const [near] = pair({ marks }, { marks })
    expect(await near.call('seen', 1, { traceparent, idempotencyKey: 'k' })).toEqual([traceparent, 'k'])
    expect(await near.call('seen', 1)).toEqual([undefined, undefined])
    await expect(near.call('seen', 1, { traceparent: 'x' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      path: 'options.traceparent',
    })
    near.close()
  })

  it('are not seen by a handler whose peer lacks it', async () => {
    const [near] = pair({ marks }, {})
    expect(await near.call('seen', 1, { traceparent, idempotencyKey: 'k' })).toEqual([undefined, undefined])
    near.close()
  })

  it('are what trace and dedupe need, and no other policy does', async () => {
    const [bare] = pair({}, {})
    const around = (peer: PagePeer) => throughCaller(peer, [trace(), dedupe()])
    const call = {
      name: 'seen',
      kind: 'call',
      upload: false,
      fingerprint: '',
      lane: 'normal',
      idempotent: true,
    } as const
    const method = { ...call, overflow: 'drop-oldest' } as const
    await expect(around(bare).call(method, 1)).rejects.toMatchObject({ reason: 'BAD_OPTION' })
    const others = throughCaller(bare, [timeout({ timeoutMs: 1000 }), retry()])
    expect(await others.call(method, 1)).toEqual([undefined, undefined])
    bare.close()

    const [near, far] = pair({ marks }, { marks })
    let ran = 0
    const served = { ...method, name: 'once' }
    throughServer(far, [dedupe()]).handle(served, (_, { idempotencyKey }) => [++ran, idempotencyKey])
    const first = await near.call(served, 1, { idempotencyKey: 'k' })
    expect(await near.call(served, 1, { idempotencyKey: 'k' })).toEqual(first)
    expect([ran, first]).toEqual([1, [1, 'k']])
    expect(await around(near).call(method, 1)).toEqual([
      expect.stringMatching(/^00-[\da-f]{32}-[\da-f]{16}-\d\d$/),
      expect.any(String),
    ])
    near.close()
  })
})
