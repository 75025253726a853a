/** Requests and streams in virtual time, and what a page needs of the patterns. */
import { build } from 'esbuild'
import { describe, expect, it } from 'vitest'
import {
  type AttachOptions,
  IPCEventBus,
  IPCRequestHandler,
  IPCStreamHandler,
  MessageCompressor,
  MessageRouter,
  MessageValidator,
} from '../../../src/faces/patterns/index.ts'
import { connectPeers } from '../../../src/index.ts'
import { memoryHub, VirtualClock } from '../../../src/testing/index.ts'

describe('IPCRequestHandler', () => {
  it('gives a request 30 s, as S1 does, and settles it then', async () => {
    const clock = new VirtualClock()
    const [near, far] = connectPeers({ clock })
    far.handle('ai_analyze', () => new Promise(() => {}))
    const handler = new IPCRequestHandler(near)
    let settled: unknown
    const request = handler.sendRequest('ai_analyze', {}, () => expect.unreachable())
    request.catch((error: unknown) => {
      settled = error
    })
    await clock.advance(29_900)
    expect(settled).toBeUndefined()
    await clock.advance(200)
    expect(settled).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
    expect(handler.handleResponse(request.requestId, 'too late')).toBe(false)
    near.close()
  })

  it('gives each request an id of its own, which tells nothing of another', () => {
    const [near, far] = connectPeers()
    far.handle('m', () => new Promise(() => {}))
    const handler = new IPCRequestHandler(near)
    const ids = Array.from({ length: 50 }, () => handler.sendRequest('m', null, () => {}).requestId)
    expect(new Set(ids).size).toBe(50)
    for (const id of ids) expect(id).toMatch(/^[\da-f]{32}$/)
    near.close()
  })

  it.each([
    [{ timeoutMs: 0 }, 'IPCRequestHandler.timeoutMs'],
    [{ tarjet: { type: 'ai' } }, 'IPCRequestHandler.tarjet'],
  ])('refuses the options %j', (options, path) => {
    const [near] = connectPeers()
    expect(() => Reflect.construct(IPCRequestHandler, [near, options])).toThrow(
      expect.objectContaining({ reason: 'BAD_OPTION', path }),
    )
  })
})

describe('IPCStreamHandler', () => {
  it('takes the next item when the reader is done with the last', async () => {
    const [near, far] = connectPeers()
    let made = 0
    new IPCStreamHandler(far).onStart('s', async function* () {
      // Larger than the window, so that the far generator waits for its reader.
      for (; made < 20; made++) yield new Uint8Array(200_000)
    })
    let free: () => void = () => {}
    const first = new Promise<void>((resolve) => (free = resolve))
    let taken = 0
    let began: () => void = () => {}
    const begun = new Promise<void>((resolve) => (began = resolve))
    const done = new IPCStreamHandler(near).startStream(
      's',
      () => {
        taken++
        began()
        return first
      },
      () => {},
    )
    await begun
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(taken).toBe(1)
    expect(made).toBeLessThan(5)
    free()
    await done
    expect([made, taken]).toEqual([20, 20])
  })

  it('tells what onEnd itself throws', async () => {
    const [near, far] = connectPeers()
    const streams = new IPCStreamHandler(near)
    new IPCStreamHandler(far).onStart('s', async function* () {})
    const thrown = new Error('mine')
    const failing = streams.startStream(
      's',
      () => {},
      () => {
        throw thrown
      },
    )
    await expect(failing).rejects.toBe(thrown)
    expect(streams.endStream('s')).toBe(false)
  })
})

describe('IPCEventBus', () => {
  it('calls no handler after it was stopped, whatever has come by then', async () => {
    const hub = memoryHub()
    const bus = new IPCEventBus(hub.peer('main'), { onError: (error) => expect.unreachable(String(error)) })
    const seen: unknown[] = []
    const stop = bus.subscribe('tab_created', (data) => {
      seen.push(data)
      stop()
    })
    const all: unknown[] = []
    await stop.ready
    const last = new Promise<void>((resolve) => {
      bus.subscribe('tab_created', (data) => all.push(data) === 3 && resolve())
    })
    for (const n of [1, 2, 3]) bus.publish('tab_created', n)
    await last
    expect([seen, all]).toEqual([[1], [1, 2, 3]])
    hub.close()
  })

  it('tells of a subscription that may not be, and refuses what is no name', async () => {
    const hub = memoryHub({ manifest: { main: {} } })
    const told: unknown[] = []
    const bus = new IPCEventBus(hub.peer('main'), { onError: (error, type) => told.push([type, error]) })
    const stop = bus.subscribe('tab_created', () => expect.unreachable())
    await expect(stop.ready).rejects.toMatchObject({ reason: 'PERMISSION_DENIED' })
    await new Promise((resolve) => setImmediate(resolve))
    expect(told).toEqual([['tab_created', expect.objectContaining({ reason: 'PERMISSION_DENIED' })]])
    const long = 'x'.repeat(300)
    expect(() => bus.publish(long, 1)).toThrow(expect.objectContaining({ reason: 'BAD_METHOD' }))
    hub.close()
  })
})

describe('MessageRouter', () => {
  it('takes no batches and nothing compressed unless somebody looks into them', async () => {
    const router = new MessageRouter()
    router.registerHandler('navigate', () => {})
    const batch = [[['navigate', []]]]
    const outcome = async (options: AttachOptions, name: string, input: unknown) => {
      const [near, far] = connectPeers()
      router.attach(far, options)
      const answer = await near
        .call(name, input)
        .catch((error: unknown) => Reflect.get(Object(error), 'reason'))
      near.close()
      return answer
    }
    const compressor = new MessageCompressor()
    expect(await outcome({ compressor }, 'navigation_request', [])).toBe(true)
    expect(await outcome({ compressor }, 'message_batch', batch)).toBe('METHOD_NOT_FOUND')
    expect(await outcome({ compressor }, 'compressed_message', [])).toBe('METHOD_NOT_FOUND')
    const validator = new MessageValidator({})
    expect(await outcome({ validator }, 'message_batch', batch)).toBe('PERMISSION_DENIED')
    expect(await outcome({ validator }, 'compressed_message', [])).toBe('METHOD_NOT_FOUND')
  })
})

describe('a page', () => {
  it('finds what of the patterns needs nothing of Node', async () => {
    const { metafile } = await build({
      stdin: { contents: `export * from 'viaduct/patterns'`, resolveDir: '.' },
      bundle: true,
      format: 'esm',
      platform: 'browser',
      metafile: true,
      write: false,
      logLevel: 'silent',
    })
    const inputs = Object.keys(metafile.inputs)
    expect(inputs).toContain('dist/faces/patterns/familyMessages.js')
    expect(inputs.filter((path) => /^dist\/(host|hub)\//.test(path))).toEqual([])
  })
})
