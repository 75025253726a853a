import { describe, expect, it } from 'vitest'
import * as KIND from '../../src/wire/kind.ts'
import { HubRig } from '../support/hubRig.ts'

const WORK = { rules: { main: { call: ['*'] } } }
/** What a bare ERROR says: the reason's number and the fate, 1 not-sent, 2 unknown. */
const UNAVAILABLE = 1
const DRAINING = 9

describe('the count of a GOAWAY', () => {
  it('of a callee tells the hub which of the calls it forwarded were not sent', async () => {
    const rig = new HubRig(WORK)
    const worker = await rig.raw('w', 'worker')
    rig.hub.serve(rig.port('w'), [['work', '']])
    const main = await rig.raw('main', 'main')
    main.open(1, { id: 'w' }, 'work')
    for (const id of [1, 2, 3]) main.call(id, 1)
    await rig.settle()
    worker.transport.full = true
    main.call(4, 1)
    await rig.settle()
    main.call(5, 1, { payload: new Uint8Array(4000) })
    await rig.settle()
    main.take()
    worker.send({ kind: KIND.GOAWAY, id: 2, route: 7 })
    worker.transport.lose()
    await rig.settle()
    const ends = main.take().filter(({ kind }) => kind === KIND.ERROR)
    expect(ends.map(({ id, route, window }) => [id, route, window])).toEqual([
      [1, UNAVAILABLE, 2],
      [2, UNAVAILABLE, 2],
      [3, UNAVAILABLE, 1],
      [4, UNAVAILABLE, 1],
      [5, UNAVAILABLE, 1],
    ])
    expect(rig.leftovers()).toEqual([])
  })

  it('of the hub holds: what comes after it is refused, however it crossed', async () => {
    const rig = new HubRig(WORK)
    const worker = await rig.raw('w', 'worker')
    rig.hub.serve(rig.port('w'), [['work', '']])
    const main = await rig.raw('main', 'main')
    main.open(1, { id: 'w' }, 'work')
    main.call(1, 1)
    await rig.settle()
    worker.take()
    main.take()
    void rig.hub.drain('main')
    main.call(2, 1)
    await rig.settle()
    const [goaway, refused] = main.take()
    expect(goaway).toMatchObject({ kind: KIND.GOAWAY, id: 1, route: 0 })
    expect(refused).toMatchObject({ kind: KIND.ERROR, id: 2, route: DRAINING, window: 1 })
    expect(worker.take()).toEqual([])
  })
})
