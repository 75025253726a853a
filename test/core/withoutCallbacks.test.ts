/** Callbacks are a part that a peer is given: what one without them says, and that the part is all it takes. */
import { describe, expect, it } from 'vitest'
import { callbacks } from '../../src/browserCallbacks.ts'
import { type LinkOptions, type LinkPeer, peerOver } from '../../src/browserFull.ts'
import { memoryTransports } from '../../src/transports/memory.ts'

function pair(ours: LinkOptions, theirs: LinkOptions): [LinkPeer, LinkPeer] {
  const [left, right] = memoryTransports()
  return [peerOver(left, ours), peerOver(right, theirs)]
}

const double = (value: number): number => value * 2

describe('callbacks of a browser’s peer', () => {
  it('are refused where they would be sent, and nothing runs', async () => {
    const [near, far] = pair({}, { callbacks })
    let ran = 0
    far.handle('apply', () => ran++)
    await expect(near.call('apply', { double })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'UNSENDABLE',
      path: 'input.double',
      fate: 'not-sent',
    })
    expect(await near.call('apply', {})).toBe(0)
    near.close()
  })

  it('are refused where they come, by name, and the link lives', async () => {
    const [near, far] = pair({ callbacks }, {})
    let ran = 0
    far.handle('apply', () => ran++)
    await expect(near.call('apply', { double })).rejects.toMatchObject({
      code: 'UNIMPLEMENTED',
      message: expect.stringContaining('callbacks'),
      path: 'input',
    })
    expect(await near.call('apply', {})).toBe(0)
    near.close()
  })

  it('work where both ends have them', async () => {
    const [near, far] = pair({ callbacks }, { callbacks })
    far.handle('apply', (input) => applied(input))
    expect(await near.call('apply', { double })).toBe(42)
    near.close()
  })
})

function applied(input: unknown): unknown {
  if (typeof input !== 'object' || input === null || !('double' in input)) return undefined
  return typeof input.double === 'function' ? input.double(21) : undefined
}
