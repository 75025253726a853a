import { describe, expect, it } from 'vitest'
import { TRUSTED_LIMITS } from '../../src/core/bounds.ts'
import * as FLAG from '../../src/wire/flag.ts'
import * as KIND from '../../src/wire/kind.ts'
import { FRAGMENT_BYTES } from '../../src/wire/limits.ts'
import { TurnClock } from '../support/clock.ts'
import { makeFrame, readFrame } from '../support/frames.ts'
import { PREAMBLE } from '../support/hubRig.ts'
import { ScriptedTransport } from '../support/scriptedTransport.ts'
import { errorOf, nears, slow } from './rig.ts'

describe.each(nears)('an answer over the limit to a call that is still in the outbox ($name)', ({ near }) => {
  const { END, ERROR, ITEM } = KIND
  for (const [name, kind] of Object.entries({ END, ERROR, ITEM })) {
    it(`${name}: frees its slot once`, async () => {
      const clock = new TurnClock()
      const transport = new ScriptedTransport()
      const limits = { ...TRUSTED_LIMITS, messageBytes: 2 * FRAGMENT_BYTES }
      const peer = near(transport, { clock, limits })
      transport.receive(PREAMBLE)
      transport.full = true
      const sent = peer.call(slow, 1, { timeoutMs: 0 }).catch(() => {})
      await clock.settle()
      transport.take()
      const waiting = errorOf(peer.call(slow, 2, { timeoutMs: 0 }))
      expect(peer.openCalls).toBe(2)
      transport.receive(
        makeFrame({
          kind,
          lane: 2,
          flags: FLAG.ANSWER | FLAG.MORE,
          // The second slot, for the first time.
          id: 1,
          payload: new Uint8Array(FRAGMENT_BYTES),
          payloadBytes: 4 * FRAGMENT_BYTES,
        }),
      )
      expect(await waiting).toMatchObject({ reason: 'MESSAGE_TOO_LARGE' })
      expect(peer.openCalls).toBe(1)
      const more = [3, 4, 5].map((input) => peer.call(slow, input, { timeoutMs: 0 }).catch(() => {}))
      transport.drain()
      await clock.settle()
      const calls = transport
        .take()
        .map((frame) => readFrame(frame))
        .filter((frame) => frame.kind === KIND.CALL)
      expect(new Set(calls.map(({ id }) => id & 0xfffff)).size).toBe(3)
      expect(peer.openCalls).toBe(4)
      peer.close()
      await Promise.all([sent, ...more])
    })
  }
})
