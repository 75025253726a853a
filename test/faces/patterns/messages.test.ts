/** Messages by themselves: arguments, families, batches, validation, limits, log. */
import { describe, expect, it } from 'vitest'
import {
  applyUIUpdate,
  familyMessages,
  IPCMessageLogger,
  IPCRateLimiter,
  MessageBatcher,
  MessageRouter,
  MessageValidator,
  ProcessMessage,
} from '../../../src/faces/patterns/index.ts'
import { VirtualClock } from '../../../src/testing/index.ts'

const renderer = { id: 'renderer-1', type: 'renderer', zone: 'untrusted', session: '' }
const url = 'https://example.org/'
const misfit = (path: string) =>
  expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'INVALID_INPUT', path })

/** What a function throws. */
function thrown(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

describe('ProcessMessage', () => {
  it('is S1’s: a name, and arguments by their place', () => {
    const message = ProcessMessage.create('ai_analyze_content')
    const args = message.getArgumentList()
    args.setString(0, url)
    args.setInt(1, 7)
    args.setBool(2, true)
    args.setDouble(3, 0.5)
    args.setBinary(4, new Uint8Array([1]))
    args.setList(5, ['a', [null]])
    args.setString(7, 'behind a gap')
    expect(message.getName()).toBe('ai_analyze_content')
    expect(args.getSize()).toBe(8)
    expect([args.getString(0), args.getInt(1), args.getBool(2), args.getDouble(3)]).toEqual([
      url,
      7,
      true,
      0.5,
    ])
    expect([args.getBinary(4), args.getList(5), args.getString(7)]).toEqual([
      new Uint8Array([1]),
      ['a', [null]],
      'behind a gap',
    ])
    expect(args.values[6]).toBeNull()
    args.setNull(0)
    expect(args.values[0]).toBeNull()
  })

  it('makes nothing up: another type, a place that is not there, a far place', () => {
    const args = ProcessMessage.from('m', ['1', 1.5]).getArgumentList()
    expect(thrown(() => args.getInt(0))).toEqual(misfit('arguments[0]'))
    expect(thrown(() => args.getInt(1))).toEqual(misfit('arguments[1]'))
    expect(thrown(() => args.getString(2))).toEqual(misfit('arguments[2]'))
    expect(thrown(() => args.setString(1e9, ''))).toEqual(misfit(`arguments[${1e9}]`))
    expect(thrown(() => args.setString(-1, ''))).toEqual(misfit('arguments[-1]'))
    expect(thrown(() => args.setInt(0, 0.5))).toEqual(misfit('arguments[0]'))
    expect(args.values).toEqual(['1', 1.5])
  })

  it.each([
    ['no list', {}],
    ['too many', Array.from({ length: 65 }, () => 0)],
    ['a function', [() => {}]],
    ['an object', [{}]],
    ['nested too deep', [[[[[[[[[[1]]]]]]]]]]],
  ])('refuses arguments that are %s', (_, args) => {
    expect(thrown(() => ProcessMessage.from('m', args))).toMatchObject({ reason: 'INVALID_INPUT' })
  })

  it.each(['', '$hub.stop', 'a b', 'a\nINFO forged', '*', 'a'.repeat(201)])('refuses the name %j', (name) => {
    expect(thrown(() => ProcessMessage.create(name))).toMatchObject({ reason: 'BAD_METHOD', path: 'name' })
  })
})

describe('families', () => {
  const navigation = { url, tabId: 3, newWindow: true, incognito: true }
  const request = { url, content: 'text', contentType: 'text/html', features: ['entities'] }
  const result = { url, category: 'news', confidence: 0.9, entities: ['Ada'], sentiments: { joy: 0.5 } }
  const change = { dataType: 'settings', action: 'update', data: { theme: ['dark', null, 1] } } as const

  it('keep S1’s strings and its order of arguments', () => {
    const made = [
      familyMessages.navigate.create(navigation),
      familyMessages.navigationComplete.create({ finalUrl: url }),
      familyMessages.aiAnalyze.create(request),
      familyMessages.aiResult.create(result),
      familyMessages.uiUpdate.create({ elementId: 'title', property: 'title', value: 'x' }),
      familyMessages.dataSync.create(change),
    ]
    expect(made.map((message) => [message.getName(), ...message.getArgumentList().values])).toEqual([
      ['navigate', url, 3, true, true],
      ['navigation_complete', url],
      [
        'ai_analyze',
        JSON.stringify({ url, content: 'text', content_type: 'text/html', features: ['entities'] }),
      ],
      ['ai_result', JSON.stringify(result)],
      ['ui_update', 'title', 'title', 'x'],
      ['data_sync', 'settings', 'update', JSON.stringify(change.data)],
    ])
  })

  it('are read back, under both spellings', () => {
    const again = (message: ProcessMessage, name: string) =>
      ProcessMessage.from(name, message.getArgumentList().values)
    const { navigate, aiAnalyze, aiResult, dataSync } = familyMessages
    for (const name of ['navigate', 'navigation_request'])
      expect(navigate.read(again(navigate.create(navigation), name))).toEqual(navigation)
    for (const name of ['ai_result', 'ai_analysis_result'])
      expect(aiResult.read(again(aiResult.create(result), name))).toEqual(result)
    for (const name of ['data_sync', 'sync_data'])
      expect(dataSync.read(again(dataSync.create(change), name))).toEqual(change)
    expect(aiAnalyze.read(aiAnalyze.create(request))).toEqual(request)
    // As S1 sends them: three arguments, and two texts.
    expect(navigate.read(ProcessMessage.from('navigate', [url, 3, true]))).toEqual({
      ...navigation,
      incognito: false,
    })
    expect(aiAnalyze.read(ProcessMessage.from('ai_analyze_content', [url, 'text']))).toEqual({
      ...request,
      contentType: '',
      features: [],
    })
    expect(thrown(() => navigate.read(ProcessMessage.create('ai_result')))).toEqual(misfit('name'))
  })

  it.each([
    ['JSON that is none', familyMessages.aiAnalyze, 'ai_analyze', ['{'], 'arguments'],
    ['JSON that is no object', familyMessages.aiAnalyze, 'ai_analyze', ['null'], 'input.url'],
    [
      'JSON of over a mebibyte',
      familyMessages.aiResult,
      'ai_result',
      [' '.repeat(1024 * 1024 + 1)],
      'arguments',
    ],
    [
      'a confidence of 2',
      familyMessages.aiResult,
      'ai_result',
      [JSON.stringify({ ...result, confidence: 2 })],
      'input.confidence',
    ],
    [
      'a feature that is no text',
      familyMessages.aiAnalyze,
      'ai_analyze',
      [JSON.stringify({ ...request, content_type: '', features: ['a', 1] })],
      'input.features[1]',
    ],
    [
      'a sentiment that is no number',
      familyMessages.aiResult,
      'ai_result',
      [JSON.stringify({ ...result, sentiments: { 'a b': '' } })],
      'input.sentiments["a b"]',
    ],
    ['an unknown action', familyMessages.dataSync, 'data_sync', ['history', 'drop', '1'], 'input.action'],
    [
      'a property that runs',
      familyMessages.uiUpdate,
      'ui_update',
      ['a', 'innerHTML', '<b>'],
      'input.property',
    ],
  ] as const)('refuse %s', (_, form, name, args, path) => {
    expect(thrown(() => form.read(ProcessMessage.from(name, args)))).toEqual(misfit(path))
  })

  it('give no prototype away', () => {
    const sentiments = JSON.parse('{"__proto__": 1, "joy": 1}')
    const read = familyMessages.aiResult.read(
      ProcessMessage.from('ai_result', [JSON.stringify({ ...result, sentiments })]),
    )
    expect(Object.getPrototypeOf(read.sentiments)).toBe(Object.prototype)
    expect(Object.keys(read.sentiments)).toEqual(['joy'])
  })
})

describe('applyUIUpdate', () => {
  it('changes what is there alone, and never what runs', () => {
    const title = { localName: 'h1', textContent: '', hidden: false }
    const elements: { [id: string]: { localName: string } } = {
      title,
      script: { localName: 'SCRIPT', ...{ textContent: '' } },
      style: { localName: 'style', ...{ textContent: '' } },
    }
    const page = { getElementById: (id: string) => elements[id] ?? null }
    const apply = (elementId: string, property: string, value: unknown) =>
      Reflect.apply(applyUIUpdate, undefined, [page, { elementId, property, value }])
    expect(apply('title', 'textContent', '<script>')).toBe(true)
    expect(apply('title', 'hidden', 'true')).toBe(true)
    expect(title).toEqual({ localName: 'h1', textContent: '<script>', hidden: true })
    for (const [id, property, value] of [
      ['title', 'hidden', 'yes'],
      ['title', 'checked', 'true'],
      ['title', 'innerHTML', 'x'],
      ['title', 'textContent', { toString: () => 'x' }],
      ['script', 'textContent', 'alert(1)'],
      ['style', 'textContent', '*{}'],
      ['nobody', 'textContent', 'x'],
    ] as const)
      expect(apply(id, property, value), `${id} ${property}`).toBe(false)
    expect(title).toEqual({ localName: 'h1', textContent: '<script>', hidden: true })
    expect(elements).toMatchObject({ script: { textContent: '' }, style: { textContent: '' } })
  })
})

describe('MessageRouter', () => {
  it('routes to the one handler of a name, under both spellings', async () => {
    const router = new MessageRouter()
    const seen: string[] = []
    const away = router.registerHandler('ai_analyze', (source, message) => {
      seen.push(`${source.id} ${message.getName()}`)
    })
    expect(router.routeMessage(renderer, ProcessMessage.create('ai_analyze'))).toBe(true)
    expect(router.routeMessage(renderer, ProcessMessage.create('ai_analyze_content'))).toBe(true)
    expect(router.routeMessage(renderer, ProcessMessage.create('toString'))).toBe(false)
    expect(seen).toEqual(['renderer-1 ai_analyze', 'renderer-1 ai_analyze_content'])
    expect(thrown(() => router.registerHandler('ai_analyze_content', () => {}))).toMatchObject({
      code: 'ALREADY_EXISTS',
    })
    away()
    expect(router.routeMessage(renderer, ProcessMessage.create('ai_analyze'))).toBe(false)
  })

  it('lets one message of a batch fail, and the others arrive', async () => {
    const router = new MessageRouter()
    const seen: number[] = []
    router.registerHandler('m', (_source, message) => {
      const n = message.getArgumentList().getInt(0)
      if (n === 2) throw new Error('not this one')
      seen.push(n)
    })
    const batch = ProcessMessage.from('message_batch', [[1, 2, 3].map((n) => ['m', [n]])])
    await expect(router.routeMessage(renderer, batch)).rejects.toThrow('not this one')
    expect(seen).toEqual([1, 3])
    const unknown = ProcessMessage.from('message_batch', [
      [
        ['m', [4]],
        ['n', []],
      ],
    ])
    expect(await router.routeMessage(renderer, unknown)).toBe(false)
  })
})

describe('MessageBatcher', () => {
  function rig(options: { batchSize?: number; flushMs?: number } = {}) {
    const clock = new VirtualClock()
    const batches: string[][] = []
    const batcher = new MessageBatcher(
      (batch) => {
        expect(batch.getName()).toBe('message_batch')
        batches.push(MessageBatcher.messagesOf(batch).map((message) => message.getName()))
      },
      { ...options, clock },
    )
    const queue = (...names: string[]) =>
      names.map((name) => batcher.queueMessage(ProcessMessage.create(name)))
    return { clock, batches, batcher, queue }
  }
  const names = (count: number) => Array.from({ length: count }, (_, n) => `m${n}`)

  it('waits for ten, or 16 ms, as S1 does', async () => {
    const { clock, batches, queue } = rig()
    const ten = queue(...names(10))
    await Promise.all(ten)
    expect(batches).toEqual([names(10)])
    queue('lone')
    await clock.advance(15)
    expect(batches).toHaveLength(1)
    await clock.advance(1)
    expect(batches).toEqual([names(10), ['lone']])
  })

  it('flushes at once, and keeps the order', async () => {
    const { clock, batches, batcher, queue } = rig({ batchSize: 3, flushMs: 5 })
    queue(...names(4))
    await batcher.flush()
    expect(batches).toEqual([['m0', 'm1', 'm2'], ['m3']])
    await batcher.flush()
    await clock.advance(100)
    expect(batches).toHaveLength(2)
  })

  it('leaves before it is larger than what every peer may send', async () => {
    const { batches, batcher } = rig()
    for (const name of ['a', 'b', 'c'])
      void batcher.queueMessage(ProcessMessage.from(name, [new Uint8Array(400_000)]))
    await batcher.flush()
    expect(batches).toEqual([['a', 'b'], ['c']])
  })

  it('tells who asks that a batch was not sent, and crashes nobody', async () => {
    const batcher = new MessageBatcher(() => Promise.reject(new Error('no link')), { batchSize: 2 })
    const first = batcher.queueMessage(ProcessMessage.create('a'))
    batcher.queueMessage(ProcessMessage.create('b'))
    await expect(first).rejects.toThrow('no link')
  })

  it.each([
    ['a batch in a batch', [['message_batch', [[]]]]],
    ['a hub’s method', [['$hub.stop', []]]],
    ['no message', [1]],
    ['arguments that are none', [['m', 'x']]],
  ])('refuses %s', (_, lines) => {
    expect(
      thrown(() => MessageBatcher.messagesOf(ProcessMessage.from('message_batch', [lines]))),
    ).toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
  })

  it('refuses options that cannot be', () => {
    for (const [options, path] of [
      [{ batchSize: 0 }, 'MessageBatcher.batchSize'],
      [{ flushMs: -1 }, 'MessageBatcher.flushMs'],
    ] as const)
      expect(thrown(() => new MessageBatcher(() => {}, options))).toMatchObject({
        reason: 'BAD_OPTION',
        path,
      })
  })
})

describe('MessageValidator', () => {
  const log: string[] = []
  const validator = new MessageValidator(
    {
      renderer: ['navigation_request', 'ai_analyze', 'message_batch'],
      'renderer-1': ['own.*'],
      main: ['ai_result'],
    },
    { maxBytes: 1_000, log: (text) => log.push(text) },
  )
  const navigate = ProcessMessage.from('navigate', [url, 1, false])

  it('asks who, what form, what size, and says so in S1’s words', () => {
    expect(validator.validateMessage(navigate, renderer)).toBe(true)
    expect(validator.validateMessage(navigate, 'renderer')).toBe(true)
    expect(validator.validateMessage(ProcessMessage.create('own.thing'), renderer)).toBe(true)
    expect(log).toEqual([])
    expect(
      validator.validateMessage(ProcessMessage.create('own.thing'), { ...renderer, id: 'renderer-2' }),
    ).toBe(false)
    expect(validator.validateMessage(navigate, 'main')).toBe(false)
    expect(validator.validateMessage(navigate, 'constructor')).toBe(false)
    expect(validator.validateMessage(ProcessMessage.from('navigate', [url, '1']), renderer)).toBe(false)
    const large = ProcessMessage.from('own.thing', [new Uint8Array(1_000)])
    expect(validator.validateMessage(large, renderer)).toBe(false)
    expect(log).toEqual([
      'Unauthorized message: own.thing',
      'Unauthorized message: navigate',
      'Unauthorized message: navigate',
      'Invalid message structure: navigate',
      'Message too large: own.thing',
    ])
  })

  it('looks into batches', () => {
    const batch = (...lines: [string, unknown[]][]) => ProcessMessage.from('message_batch', [lines])
    expect(validator.validateMessage(batch(['navigate', [url, 1, false]]), renderer)).toBe(true)
    expect(
      validator.validateMessage(batch(['navigate', [url, 1, false]], ['ai_result', ['{}']]), renderer),
    ).toBe(false)
    expect(validator.validateMessage(batch(['message_batch', [[]]]), renderer)).toBe(false)
    expect(validator.validateMessage(batch(['navigate', []]), renderer)).toBe(false)
    expect(validator.validateMessage(batch(), 'main')).toBe(false)
  })

  it('bounds messages at 10 MiB by itself', () => {
    const ten = new MessageValidator({ renderer: ['m'] })
    const of = (bytes: number) => ProcessMessage.from('m', [new Uint8Array(bytes)])
    expect(ten.validateMessage(of(10 * 1024 * 1024 - 200), 'renderer')).toBe(true)
    expect(ten.validateMessage(of(10 * 1024 * 1024), 'renderer')).toBe(false)
  })
})

describe('IPCRateLimiter', () => {
  const passed = (limiter: IPCRateLimiter, sender: string | number, ...names: string[]) =>
    names.filter((name) => limiter.checkRateLimit(sender, name)).length
  const times = (count: number, name: string) => Array.from({ length: count }, () => name)

  it('has S1’s limits', () => {
    const limiter = new IPCRateLimiter(undefined, { clock: new VirtualClock() })
    expect(passed(limiter, 1, ...times(50, 'ai_analyze'))).toBe(10)
    expect(passed(limiter, 1, ...times(50, 'navigation_request'))).toBe(5)
    expect(passed(limiter, 1, ...times(50, 'sync_data'))).toBe(20)
    expect(passed(limiter, 1, ...times(500, 'navigation_complete'))).toBe(100)
    expect(passed(limiter, 2, ...times(50, 'ai_analyze'))).toBe(10)
  })

  it('lets no twice as many through at the edge of a second', async () => {
    const clock = new VirtualClock()
    const limiter = new IPCRateLimiter(undefined, { clock })
    let most = 0
    await clock.advance(990)
    most += passed(limiter, 1, ...times(20, 'ai_analyze'))
    await clock.advance(20)
    most += passed(limiter, 1, ...times(20, 'ai_analyze'))
    expect(most).toBe(10)
    await clock.advance(1_000)
    expect(passed(limiter, 1, ...times(20, 'ai_analyze'))).toBe(10)
  })

  it('has one limit for both spellings, and one for all invented names', () => {
    const limiter = new IPCRateLimiter(undefined, { clock: new VirtualClock() })
    expect(passed(limiter, 1, ...times(20, 'ai_analyze'), ...times(20, 'ai_analyze_content'))).toBe(10)
    expect(passed(limiter, 1, ...Array.from({ length: 1_000 }, (_, n) => `invented_${n}`))).toBe(100)
    const own = new IPCRateLimiter({ data_sync: 2 }, { clock: new VirtualClock() })
    expect(passed(own, 1, ...times(9, 'sync_data'), ...times(9, 'data_sync'))).toBe(2)
    expect(passed(own, 1, ...times(500, 'anything'))).toBe(100)
  })

  it('refuses limits that cannot be', () => {
    expect(thrown(() => new IPCRateLimiter({ ai_analyze: 0 }))).toMatchObject({
      reason: 'BAD_OPTION',
      path: 'IPCRateLimiter.limits.ai_analyze',
    })
  })
})

describe('IPCMessageLogger', () => {
  it('keeps the last thousand, with S1’s fields', () => {
    const debugged: string[] = []
    let now = 0
    const logger = new IPCMessageLogger({ debug: (text) => debugged.push(text), wallClock: () => ++now })
    const message = ProcessMessage.from('navigate', ['secret'])
    for (let n = 0; n < 1_234; n++) logger.logMessage('out', message, 'renderer-1')
    const history = logger.history()
    expect(history.map(({ timestamp }) => timestamp)).toEqual(
      Array.from({ length: 1_000 }, (_, n) => n + 235),
    )
    expect(history[0]).toEqual({
      timestamp: 235,
      direction: 'out',
      message_type: 'navigate',
      process: 'renderer-1',
      size: message.getSize(),
    })
    expect(debugged[0]).toBe(
      `IPC: {"timestamp":1,"direction":"out","message_type":"navigate","process":"renderer-1","size":${message.getSize()}}`,
    )
  })

  it('keeps fewer, or none', () => {
    const few = new IPCMessageLogger({ maxHistory: 2 })
    const none = new IPCMessageLogger({ enabled: false })
    for (const name of ['a', 'b', 'c']) {
      few.logMessage('in', ProcessMessage.create(name), 'main')
      none.logMessage('in', ProcessMessage.create(name), 'main')
    }
    expect(few.history().map(({ message_type }) => message_type)).toEqual(['b', 'c'])
    expect(none.history()).toEqual([])
  })
})
