/** The usage blocks of S1 in TypeScript, across real processes. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  ai,
  familyMessages,
  IPCEventBus,
  IPCMessageLogger,
  IPCRateLimiter,
  IPCRequestHandler,
  IPCStreamHandler,
  MessageCompressor,
  MessageRouter,
  MessageValidator,
  ProcessMessage,
  ProcessRouter,
  sync,
  ui,
} from '../../../src/faces/patterns/index.ts'
import { Hub, manifest } from '../../../src/index.ts'

const base = mkdtempSync(join(tmpdir(), 'viaduct-s1-'))
const program = (name: string) => fileURLToPath(new URL(`fixtures/${name}.mjs`, import.meta.url))
const url = 'https://example.org/'

/** Events as they come, awaited by their number. */
function inbox<T>() {
  const all: T[] = []
  let wake = (): void => {}
  const add = (one: T): void => {
    all.push(one)
    wake()
  }
  const until = async (length: number): Promise<T[]> => {
    while (all.length < length) await new Promise<void>((resolve) => (wake = resolve))
    return all
  }
  return { all, add, until }
}

describe('S1 across processes', () => {
  let hub: Hub
  const navigated = inbox<string>()
  const results = inbox<{ from: string; entities: readonly string[] }>()
  const requested = inbox<unknown>()
  const refusals: string[] = []
  const logger = new IPCMessageLogger()

  beforeAll(async () => {
    hub = await Hub.listen({
      app: 's1',
      base,
      log: () => {},
      manifest: manifest({
        main: { call: ['*'], publish: ['*'], subscribe: ['*'] },
        ai: { call: [{ method: 'ai_result', to: 'main' }] },
        analyst: {},
        renderer: {
          zone: 'untrusted',
          call: ['navigation_complete', 'navigation_request', 'message_batch', 'compressed_message'].map(
            (method) => ({
              method,
              to: 'main',
            }),
          ),
          publish: ['tab_seen', 'tab_failed'],
          subscribe: ['tab_created', 'sync.data'],
        },
      }),
    })
    // S1, "Setup routing", with its validation, its limits and its log in front.
    const router = new MessageRouter()
    const limiter = new IPCRateLimiter()
    router.registerHandler('navigation_complete', (source, message) => {
      logger.logMessage('in', message, source.id)
      navigated.add(familyMessages.navigationComplete.read(message).finalUrl)
    })
    router.registerHandler('ai_result', (source, message) => {
      const { entities } = familyMessages.aiResult.read(message)
      results.add({ from: source.id, entities })
    })
    router.registerHandler('navigation_request', (source, message) => {
      if (!limiter.checkRateLimit(source.id, message.getName())) throw new Error('too many')
      requested.add(familyMessages.navigate.read(message))
    })
    const validator = new MessageValidator(
      {
        renderer: ['navigation_complete', 'navigation_request', 'message_batch', 'compressed_message'],
        ai: ['ai_result'],
      },
      { log: (text) => refusals.push(text) },
    )
    router.attach(hub.peer, { validator, compressor: new MessageCompressor() })
    const node = process.execPath
    await hub.supervise('ai-1', { type: 'ai', run: [node, program('ai')] })
    await hub.supervise('analyst-1', { type: 'analyst', run: [node, program('ai'), 'requests'] })
    for (const id of ['renderer-1', 'renderer-2']) {
      await hub.supervise(id, { type: 'renderer', run: [node, program('renderer')] })
    }
    for (const id of ['ai-1', 'analyst-1', 'renderer-1', 'renderer-2']) await hub.whenReady(id)
  })
  afterAll(async () => {
    await hub.close()
    rmSync(base, { recursive: true, force: true })
  })

  const ask = (id: string, method: string, input?: unknown) =>
    hub.peer.call(method, input, { target: { id }, timeoutMs: 30_000 })

  it('request and response: the callback gets the answer', async () => {
    const ipcHandler = new IPCRequestHandler(hub.peer, { target: { type: 'analyst' } })
    const shown: unknown[] = []
    const answer = await ipcHandler.sendRequest('ai_analyze', { url, content: 'text' }, (result) =>
      shown.push(result),
    )
    expect(answer).toMatchObject({ category: 'news', confidence: 0.9, length: 4 })
    expect(shown).toEqual([answer])
  })

  it('a request answered at this end is answered once, and its far handler is told to stop', async () => {
    // Its deadline lies behind this test's own.
    const ipcHandler = new IPCRequestHandler(hub.peer, { target: { id: 'analyst-1' }, timeoutMs: 600_000 })
    const shown: unknown[] = []
    const request = ipcHandler.sendRequest('ai_never', {}, (result) => shown.push(result))
    // Behind it on the same route: the handler has begun when this is answered.
    expect(await ask('analyst-1', 'waiting')).toEqual(new Map([[request.requestId, 'open']]))
    expect(ipcHandler.handleResponse('1', 'guessed')).toBe(false)
    expect(ipcHandler.handleResponse(request.requestId, 'from elsewhere')).toBe(true)
    expect(ipcHandler.handleResponse(request.requestId, 'once more')).toBe(false)
    expect(await request).toBe('from elsewhere')
    let seen: unknown
    do seen = await ask('analyst-1', 'waiting')
    while (!(seen instanceof Map) || seen.get(request.requestId) !== 'aborted')
    expect(shown).toEqual(['from elsewhere'])
    // What the far handler ended with stands in front of this answer.
    await ask('analyst-1', 'waiting')
    expect(hub.peer.core.openCalls).toBe(0)
  })

  it('a request that fails calls no callback back, and crashes nobody', async () => {
    const ipcHandler = new IPCRequestHandler(hub.peer, { target: { type: 'nobody' } })
    const request = ipcHandler.sendRequest('ai_analyze', {}, () => expect.unreachable())
    await expect(request).rejects.toMatchObject({ reason: 'TARGET_UNAVAILABLE' })
    expect(ipcHandler.handleResponse(request.requestId, 1)).toBe(false)
  })

  it('publish and subscribe: every process has the event, its own too', async () => {
    const eventBus = new IPCEventBus(hub.peer)
    const own = inbox<unknown>()
    const seen = inbox<unknown>()
    const failed = inbox<unknown>()
    const stopFailed = eventBus.subscribe('tab_failed', failed.add)
    const stopOwn = eventBus.subscribe('tab_created', own.add)
    const stop = eventBus.subscribe('tab_seen', seen.add)
    await Promise.all([stopOwn.ready, stop.ready, stopFailed.ready])
    // A handler that throws at the renderers misses nothing behind it.
    eventBus.publish('tab_created', { tab_id: 6, url: 'bad' })
    eventBus.publish('tab_created', { tab_id: 7, url })
    expect(await own.until(2)).toEqual([
      { tab_id: 6, url: 'bad' },
      { tab_id: 7, url },
    ])
    const all = await seen.until(2)
    expect(all).toEqual(expect.arrayContaining(['renderer-1', 'renderer-2'].map((by) => ({ by, tabId: 7 }))))
    expect(await failed.until(2)).toEqual([1, 2].map(() => 'tab_created: no such page'))
    stopFailed()
    stopOwn()
    eventBus.publish('tab_created', { tab_id: 8, url })
    expect(await seen.until(4)).toHaveLength(4)
    expect(own.all).toHaveLength(2)
    stop()
  })

  it('streaming: each result as it comes, then the end', async () => {
    const streamHandler = new IPCStreamHandler(hub.peer, { target: { id: 'ai-1' } })
    const told: unknown[] = []
    await streamHandler.startStream(
      'ai_batch_inference',
      (result) => told.push(result),
      (error) => told.push(error ?? 'end'),
    )
    expect(told).toEqual([1, 2, 3].map((n) => ({ n, category: 'news' })).concat(['end' as never]))
  })

  it('a stream is ended once, and its far generator with it', async () => {
    const streamHandler = new IPCStreamHandler(hub.peer, { target: { id: 'ai-1' } })
    const data = inbox<unknown>()
    const ends: unknown[] = []
    const started = streamHandler.startStream('ai_endless', data.add, (error) => ends.push(error))
    await data.until(1)
    await expect(
      streamHandler.startStream(
        'ai_endless',
        () => {},
        () => {},
      ),
    ).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    })
    expect(streamHandler.handleStreamData('ai_endless', 'from elsewhere')).toBe(true)
    expect(data.all.at(-1)).toBe('from elsewhere')
    expect(streamHandler.endStream('ai_endless')).toBe(true)
    expect(streamHandler.endStream('ai_endless')).toBe(false)
    expect(streamHandler.handleStreamData('ai_endless', 'late')).toBe(false)
    const had = data.all.length
    await started
    expect(ends).toEqual([undefined])
    while ((await ask('ai-1', 'left')) !== 1);
    expect(data.all).toHaveLength(had)
    // One that waits for its next item ends as well.
    const quiet = inbox<unknown>()
    const waiting = streamHandler.startStream('ai_quiet', quiet.add, (error) => ends.push(error))
    await quiet.until(1)
    expect(streamHandler.endStream('ai_quiet')).toBe(true)
    await waiting
    while ((await ask('ai-1', 'left')) !== 2);
    expect(ends).toEqual([undefined, undefined])
  })

  it('a stream that fails says so at its end', async () => {
    const streamHandler = new IPCStreamHandler(hub.peer, { target: { id: 'ai-1' } })
    const told: unknown[] = []
    const tell = (error?: unknown) => told.push(error)
    await streamHandler.startStream('ai_broken', (n) => told.push(n), tell)
    expect(told).toEqual([1, expect.objectContaining({ reason: 'HANDLER_ERROR' })])
    await streamHandler.startStream('ai_unknown', () => {}, tell)
    expect(told.at(-1)).toMatchObject({ reason: 'METHOD_NOT_FOUND' })
    // Whoever reads badly ends the stream.
    const thrown = new Error('cannot show it')
    await streamHandler.startStream('ai_endless', () => Promise.reject(thrown), tell)
    expect(told.at(-1)).toBe(thrown)
  })

  it('navigation there and back, by messages', async () => {
    const message = familyMessages.navigate.create({ url, tabId: 3, newWindow: false, incognito: true })
    expect(await new ProcessRouter(hub).sendToProcess({ id: 'renderer-1' }, message)).toBe(true)
    expect(await navigated.until(1)).toEqual([`${url}#tab-3`])
    expect(logger.history()).toEqual([
      {
        timestamp: expect.any(Number),
        direction: 'in',
        message_type: 'navigation_complete',
        process: 'renderer-1',
        size: expect.any(Number),
      },
    ])
  })

  it('analysis by messages, under both of its names', async () => {
    const router = new ProcessRouter(hub)
    const message = ProcessMessage.create('ai_analyze_content')
    message.getArgumentList().setString(0, url)
    message.getArgumentList().setString(1, 'short')
    expect(await router.sendToProcess('ai', message)).toBe(true)
    const request = { url, content: 'long', contentType: 'text/html', features: ['entities'] }
    expect(await router.sendToProcess('ai', familyMessages.aiAnalyze.create(request))).toBe(true)
    expect(await results.until(2)).toEqual([
      { from: 'ai-1', entities: ['short', ''] },
      { from: 'ai-1', entities: ['long', 'text/html', 'entities'] },
    ])
  })

  it('analysis by the contract', async () => {
    const api = hub.client(ai, { type: 'analyst' })
    const request = { url, content: 'text', contentType: 'text/html', features: [] }
    expect(await api.analyze(request)).toMatchObject({ category: 'news', sentiments: { joy: 0.5 } })
    const { features: _, ...half } = request
    await expect(Reflect.apply(api.analyze, api, [half])).rejects.toMatchObject({
      reason: 'INVALID_INPUT',
      path: 'input.features',
    })
  })

  it('UI updates are data: what tries to be script is text, or is refused', async () => {
    const api = hub.client(ui, { id: 'renderer-1' })
    const script = `'; alert(1); '<img src=x onerror=alert(1)>`
    expect(await api.update({ elementId: 'title', property: 'textContent', value: script })).toBe(true)
    expect(await api.update({ elementId: 'title', property: 'hidden', value: 'true' })).toBe(true)
    expect(await api.update({ elementId: 'boot', property: 'textContent', value: 'alert(1)' })).toBe(false)
    expect(await api.update({ elementId: "title').remove();//", property: 'title', value: '' })).toBe(false)
    for (const property of ['innerHTML', 'outerHTML', 'onclick', 'srcdoc', 'textContent = alert(1); x']) {
      const refused = hub.peer.call(
        'ui.update',
        { elementId: 'title', property, value: script },
        { target: { id: 'renderer-1' } },
      )
      await expect(refused, property).rejects.toMatchObject({
        reason: 'INVALID_INPUT',
        path: 'input.property',
      })
    }
    expect(await ask('renderer-1', 'page')).toEqual({
      title: { localName: 'h1', textContent: script, hidden: true, innerHTML: '', onclick: null },
      boot: { localName: 'script', textContent: '' },
    })
  })

  it('data goes to all renderers, as a message and as an event', async () => {
    const change = { dataType: 'bookmarks', action: 'add', data: { url, tags: ['a'] } } as const
    const answers = await new ProcessRouter(hub).broadcastToProcessType(
      'renderer',
      familyMessages.dataSync.create(change),
    )
    expect(answers.map(({ peer, ok }) => [peer.id, ok]).sort()).toEqual([
      ['renderer-1', true],
      ['renderer-2', true],
    ])
    hub.publish(sync.data, change)
    for (const id of ['renderer-1', 'renderer-2']) {
      let synced: unknown
      do synced = await ask(id, 'synced')
      while (!Array.isArray(synced) || synced.length < 2)
      expect(synced).toEqual([
        { from: 'main', ...change },
        { from: 'topic', ...change },
      ])
    }
  })

  it('messages that a process may not send reach no handler', async () => {
    const before = results.all.length
    const analysis = { url, category: 'x', confidence: 1, entities: [], sentiments: {} }
    const forged = { name: 'ai_result', args: [JSON.stringify(analysis)] }
    expect(await ask('renderer-1', 'drive', { send: [forged] })).toEqual([
      expect.objectContaining({ reason: 'PERMISSION_DENIED', fate: 'not-sent' }),
    ])
    // Within a batch the hub does not see it: the validator does, and nothing of that batch counts.
    const request = { name: 'navigation_request', args: [url, 1, false] }
    expect(await ask('renderer-1', 'drive', { batch: [request, forged] })).toEqual({
      runs: 1,
      outcomes: [1, 2].map(() => expect.objectContaining({ reason: 'PERMISSION_DENIED' })),
    })
    expect(refusals).toEqual(['Unauthorized message: ai_result'])
    expect(requested.all).toEqual([])
    expect(results.all).toHaveLength(before)
  })

  it('messages of another form reach no handler', async () => {
    const send = [
      { name: 'navigation_request', args: [url, 'one', false] },
      { name: 'navigation_request', args: [] },
    ]
    const outcomes = await ask('renderer-2', 'drive', { send })
    expect(outcomes).toEqual(send.map(() => expect.objectContaining({ reason: 'PERMISSION_DENIED' })))
    expect(refusals.slice(-2)).toEqual(send.map(() => 'Invalid message structure: navigation_request'))
  })

  it('ten messages leave as one batch, and the limit counts each of them', async () => {
    const batch = Array.from({ length: 10 }, (_, n) => ({
      name: 'navigation_request',
      args: [url, n, false],
    }))
    // Five a second: of the others each fails by itself.
    expect(await ask('renderer-2', 'drive', { batch })).toMatchObject({ runs: 1 })
    expect(requested.all).toEqual(
      [0, 1, 2, 3, 4].map((tabId) => ({ url, tabId, newWindow: false, incognito: false })),
    )
  })

  it('large messages arrive compressed, and what is in them is checked', async () => {
    const finalUrl = `${url}?${'q'.repeat(4_000)}`
    const compress = { name: 'navigation_complete', args: [finalUrl] }
    const sent = await ask('renderer-1', 'drive', { compress })
    expect(sent).toMatchObject({ name: 'compressed_message', value: true })
    expect(Object(sent).size).toBeLessThan(200)
    expect(navigated.all.at(-1)).toBe(finalUrl)
    const forged = { name: 'ai_result', args: ['x'.repeat(4_000)] }
    expect(await ask('renderer-1', 'drive', { compress: forged })).toMatchObject({
      name: 'compressed_message',
      reason: 'PERMISSION_DENIED',
    })
    expect(refusals.at(-1)).toBe('Unauthorized message: ai_result')
  })
})
