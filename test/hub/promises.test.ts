import { createHook } from 'node:async_hooks'
import { describe, expect, it } from 'vitest'
import * as FLAG from '../../src/wire/flag.ts'
import { readU32 } from '../../src/wire/frame.ts'
import * as KIND from '../../src/wire/kind.ts'
import { makeFrame } from '../support/frames.ts'
import { HubRig } from '../support/hubRig.ts'

describe('the switch', () => {
  it('forwards 100,000 frames of random bytes without a promise', async () => {
    const rig = new HubRig({ rules: { worker: { call: ['*'] } } })
    const callee = await rig.raw('main', 'main')
    rig.hub.serve(rig.port('main'), [['work', '']])
    const caller = await rig.raw('worker-1', 'worker')
    caller.open(1, { id: 'main' }, 'work')
    await rig.settle()
    callee.take()
    const body = new Uint8Array(120)
    let seed = 99
    const random = (): Uint8Array => {
      for (let at = 0; at < body.length; at++) {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
        body[at] = seed >>> 24
      }
      return body
    }
    const before = rig.hub.switch.frames
    let promises = 0
    let timers = 0
    const hook = createHook({
      init: (_id, type) => {
        if (type === 'PROMISE') promises++
        if (type === 'Timeout' || type === 'TickObject') timers++
      },
    })
    hook.enable()
    for (let call = 0; call < 50_000; call++) {
      caller.send(
        makeFrame({
          kind: KIND.CALL,
          lane: 2,
          id: 1 + (call % 64),
          route: 1,
          timeLeft: 5000,
          payload: random(),
        }),
      )
      rig.clock.turns()
      const asked = callee.transport.sent.pop()
      callee.transport.sent.length = 0
      if (!asked) throw new Error('nothing was forwarded')
      callee.send(
        makeFrame({ kind: KIND.END, lane: 2, flags: FLAG.ANSWER, id: readU32(asked, 8), payload: random() }),
      )
      rig.clock.turns()
      caller.transport.sent.length = 0
    }
    hook.disable()
    expect(rig.hub.switch.frames - before).toBe(100_000)
    expect(promises).toBe(0)
    expect(timers).toBe(0)
    expect(rig.leftovers()).toEqual([])
  })
})
