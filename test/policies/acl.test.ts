/** acl: who may, by the link's word and by what is asked. */
import { describe, expect, it } from 'vitest'
import { acl } from '../../src/policies/index.ts'
import { memoryHub } from '../../src/testing/index.ts'
import { refused, statsOf, work } from './rig.ts'

describe('acl', () => {
  it('lets pass by id, type and function; the first name that matches decides, and no name denies', async () => {
    const hub = memoryHub()
    const policy = acl({
      'work.read': ['main'],
      'work.write': ['worker-2', 'network'],
      'work.*': (peer, input) => peer.type === 'worker' && input === 1,
      other: () => true,
    })
    const ran: string[] = []
    const server = hub.peer('ai-1')
    server.serve(
      work,
      {
        read: (n, call) => ran.push(`read ${call.peer.id}`) * 0 + n,
        write: (n, call) => ran.push(`write ${call.peer.id}`) * 0 + n,
        async *count(to, call) {
          ran.push(`count ${call.peer.id}`)
          yield to
          return 'done'
        },
      },
      { policies: [policy], partial: true },
    )
    const peers = ['main', 'worker-1', 'worker-2'].map((id) => hub.peer(id))
    await new Promise(setImmediate)
    const DENIED = { code: 'PERMISSION_DENIED' }
    const [main, worker1, worker2] = peers.map((peer) => peer.client(work, { id: 'ai-1' }))
    expect(await main?.read(1)).toBe(1)
    expect(await refused(worker1?.read(1))).toMatchObject(DENIED)
    expect(await refused(main?.write(1))).toMatchObject(DENIED)
    expect(await refused(worker1?.write(1))).toMatchObject({
      message: expect.stringContaining('worker-1 may not'),
    })
    expect(await worker2?.write(1)).toBe(1)
    expect(await worker1?.count(1).output).toBe('done')
    expect(await refused(worker1?.count(2).output)).toMatchObject(DENIED)
    expect(await refused(main?.count(1).output)).toMatchObject(DENIED)
    expect(ran).toEqual(['read main', 'write worker-2', 'count worker-1'])
    expect(statsOf(policy)).toEqual({ refused: 5 })
    hub.close()
  })

  it('denies what a function does not say yes to: a promise, a word', async () => {
    for (const answer of [Promise.resolve(true), 'yes', 1]) {
      const hub = memoryHub()
      const policy = Reflect.apply(acl, undefined, [{ '*': () => answer }])
      hub.peer('ai-1').serve(work, { read: (n) => n }, { policies: [policy], partial: true })
      const api = hub.peer('main').client(work, { id: 'ai-1' })
      await new Promise(setImmediate)
      expect(await refused(api.read(1))).toMatchObject({ code: 'PERMISSION_DENIED' })
      hub.close()
    }
  })
})
