/** Broadcasts and calls to all: whom the hub names, what each answers, what the manifest refuses. */
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { type Answer, contract, method, type Peer, type Rules } from '../../src/index.ts'
import { memoryHub } from '../../src/testing/index.ts'

const pages = contract('pages', {
  analyze: method({ input: z.string(), output: z.number() }),
  secret: method({ output: z.string() }),
})
const RULES: Rules = {
  main: { call: ['pages.*'] },
  ai: { zone: 'semi', call: [{ method: 'pages.analyze', to: ['ai-2', 'page'] }] },
  page: { zone: 'untrusted', call: [{ method: 'pages.analyze', to: 'ai' }] },
}

interface Desk {
  readonly main: Peer
  readonly peers: Map<string, Peer>
  readonly seen: string[]
  close(): void
}

/** main, ai-1 to ai-3 and page-1, who serve `analyze`; ai-3 serves `secret` too. */
async function desk(): Promise<Desk> {
  const hub = memoryHub({ manifest: RULES })
  const seen: string[] = []
  const peers = new Map<string, Peer>()
  for (const id of ['main', 'ai-1', 'ai-2', 'ai-3', 'page-1']) {
    const peer = hub.peer(id)
    peers.set(id, peer)
    peer.serve(
      pages,
      {
        analyze(text) {
          seen.push(`${id} ${text}`)
          if (text === `fail ${id}`) throw new Error('oh')
          return text.length
        },
        ...(id === 'ai-3' ? { secret: () => 'secret' } : {}),
      },
      { partial: true },
    )
    await peer.ready()
  }
  const main = peers.get('main')
  if (!main) throw new Error('there is no main')
  return { main, peers, seen, close: () => hub.close() }
}

function texts(answers: readonly Answer<unknown>[]): string[] {
  return answers.map(
    (answer) => `${answer.peer.id} ${answer.ok ? String(answer.value) : answer.error.reason}`,
  )
}

describe('callAll', () => {
  it('asks everybody else who serves it, and settles with one typed answer each', async () => {
    const { main, close } = await desk()
    const answers = await main.callAll(pages.analyze, 'four')
    expectTypeOf(answers).toEqualTypeOf<Answer<number>[]>()
    expect(texts(answers)).toEqual(['ai-1 4', 'ai-2 4', 'ai-3 4', 'page-1 4'])
    expect(answers[0]?.peer).toMatchObject({ type: 'ai', session: expect.stringMatching(/^[0-9a-f]{32}$/) })
    // Whoever does not serve it is not asked.
    expect(texts(await main.callAll(pages.secret, undefined))).toEqual(['ai-3 secret'])
    close()
  })

  it.each([
    [{ type: 'ai' }, ['ai-1', 'ai-2', 'ai-3']],
    [{ type: ['ai', 'page'], exclude: ['ai-2'] }, ['ai-1', 'ai-3', 'page-1']],
    [{ ids: ['ai-2', 'nobody', 'main'] }, ['main', 'ai-2']],
    [{ ids: ['ai-2', 'page-1'], type: 'ai' }, ['ai-2']],
    [{ type: 'nothing' }, []],
    [{ ids: Array.from({ length: 5000 }, (_, number) => `ai-${number}`) }, ['ai-1', 'ai-2', 'ai-3']],
    [{ exclude: Array.from({ length: 5000 }, (_, number) => `ai-${number}`) }, ['page-1']],
  ])('filter %#', async (filter, ids) => {
    const { main, close } = await desk()
    const answers = await main.callAll(pages.analyze, 'x', filter)
    expect(answers.map(({ peer }) => peer.id)).toEqual(ids)
    expect(answers.every(({ ok }) => ok)).toBe(true)
    close()
  })

  it('takes a test of each peer', async () => {
    const { main, close } = await desk()
    const answers = await main.callAll(pages.analyze, 'x', ({ id, type }) => type === 'ai' && id !== 'ai-1')
    expect(texts(answers)).toEqual(['ai-2 1', 'ai-3 1'])
    close()
  })

  it('lets one fail or die without failing the others, and tells each as it settles', async () => {
    const { main, peers, close } = await desk()
    const dying = peers.get('ai-1')
    dying?.handle('pages.slow', () => {
      dying.close()
      return new Promise(() => {})
    })
    peers.get('ai-2')?.handle('pages.slow', () => 'slow')
    await Promise.all([...peers.values()].map((peer) => !peer.isClosed && peer.ready()))
    const told: Answer<unknown>[] = []
    const answers = await main.callAll('pages.slow', 1, {}, { onAnswer: (answer) => told.push(answer) })
    expect(texts(answers)).toEqual(['ai-1 TARGET_UNAVAILABLE', 'ai-2 slow'])
    expect([...texts(told)].sort()).toEqual(texts(answers))
    expect(texts(await main.callAll(pages.analyze, 'fail ai-2'))).toEqual([
      'ai-2 HANDLER_ERROR',
      'ai-3 9',
      'page-1 9',
    ])
    close()
  })

  it('has at most so many open at once', async () => {
    const { main, peers, close } = await desk()
    let open = 0
    let most = 0
    for (const peer of peers.values()) {
      peer.handle('pages.count', async () => {
        most = Math.max(most, ++open)
        await new Promise((resolve) => setImmediate(resolve))
        open--
      })
      await peer.ready()
    }
    expect((await main.callAll('pages.count', 1, {}, { concurrency: 2 })).length).toBe(4)
    expect([most, open]).toEqual([2, 0])
    close()
  })

  it('answers PERMISSION_DENIED for whom no rule allows, and fails when that is everybody', async () => {
    const { peers, seen, close } = await desk()
    const [ai, page] = [peers.get('ai-1'), peers.get('page-1')]
    // May ask who is there: told of those it may not call.
    expect(texts((await ai?.callAll(pages.analyze, 'x')) ?? []).sort()).toEqual([
      'ai-2 1',
      'ai-3 PERMISSION_DENIED',
      'main PERMISSION_DENIED',
      'page-1 1',
    ])
    expect(seen.sort()).toEqual(['ai-2 x', 'page-1 x'])
    const denied = await ai?.callAll(pages.analyze, 'x', { ids: ['ai-3'] })
    expect(denied).toMatchObject([{ ok: false, error: { code: 'PERMISSION_DENIED', fate: 'not-sent' } }])
    // May not ask: told of nobody that it did not name.
    expect(texts((await page?.callAll(pages.analyze, 'x')) ?? [])).toEqual(['ai-1 1', 'ai-2 1', 'ai-3 1'])
    expect(texts((await page?.callAll(pages.analyze, 'x', { ids: ['main'] })) ?? [])).toEqual([
      'main PERMISSION_DENIED',
    ])
    for (const filter of [{ type: 'main' }, { type: 'nobody' }]) {
      await expect(page?.callAll(pages.analyze, 'x', filter)).rejects.toMatchObject({
        reason: 'PERMISSION_DENIED',
        fate: 'not-sent',
      })
    }
    // A pid is for those who may ask.
    expect(await page?.callAll(pages.analyze, 'x')).not.toMatchObject([{ peer: { pid: expect.anything() } }])
    close()
  })

  it('can be cancelled: each answer says so', async () => {
    const { main, peers, close } = await desk()
    const controller = new AbortController()
    for (const id of ['ai-1', 'ai-2']) {
      peers.get(id)?.handle('pages.never', () => {
        controller.abort()
        return new Promise(() => {})
      })
      await peers.get(id)?.ready()
    }
    const answers = await main.callAll('pages.never', 1, {}, { signal: controller.signal, concurrency: 1 })
    expect(answers).toMatchObject([
      { ok: false, error: { reason: 'CANCELLED', fate: 'unknown' } },
      { ok: false, error: { reason: 'CANCELLED', fate: 'not-sent' } },
    ])
    close()
  })
})

describe('broadcast', () => {
  it('sends one way to all of a filter and says to whom', async () => {
    const { main, peers, seen, close } = await desk()
    const result = await main.broadcast(pages.analyze, 'hello', { type: 'ai', exclude: ['ai-2'] })
    expect(result.sent.map(({ id }) => id)).toEqual(['ai-1', 'ai-3'])
    expect(result.refused).toEqual([])
    // A call behind it in the same lane is answered after it has run.
    await main.callAll(pages.analyze, 'after', { type: 'ai' })
    expect(seen.filter((text) => text.endsWith('hello')).sort()).toEqual(['ai-1 hello', 'ai-3 hello'])
    expect(await main.broadcast(pages.analyze, 'x', { type: 'nobody' })).toEqual({ sent: [], refused: [] })
    const partly = await peers.get('ai-1')?.broadcast(pages.analyze, 'x', { type: 'ai' })
    expect(partly?.sent.map(({ id }) => id)).toEqual(['ai-2'])
    expect(partly?.refused).toMatchObject([{ peer: { id: 'ai-3' }, error: { reason: 'PERMISSION_DENIED' } }])
    close()
  })

  it('waits while its outbox is full, and loses nothing', async () => {
    const { main, peers, seen, close } = await desk()
    const large = 'x'.repeat(900_000)
    const before = seen.length
    const rounds = 100
    for (let round = 0; round < rounds; round++) {
      const { sent, refused } = await main.broadcast(pages.analyze, large, { ids: ['ai-1'] })
      expect([sent.length, refused]).toEqual([1, []])
    }
    await main.callAll(pages.analyze, 'end', { ids: ['ai-1'] })
    expect(seen.length - before).toBe(rounds + 1)
    expect(peers.size).toBe(5)
    close()
  })
})
