/** The document's interfaces as types: what it asks for is there, with its names and types. */

import {
  type CompleteIPCMessage,
  defaultRetryPolicy,
  type HandlerContext,
  type IPCMessage,
  type IPCMetrics,
  type IPCResponse,
  IPCRouter,
  MessageQueue,
  type ProcessFilter,
  type RetryPolicy,
  sendWithRetry,
  validateIPCMessage,
} from 'viaduct/router'
import { describe, expectTypeOf, it } from 'vitest'

// Sections 2.1, 2.2, 4.3, 5.2 and 6.1 as they are written, names changed where they would meet those of the package.
interface S0Message {
  id: string
  sequence: number
  type: 'request' | 'response' | 'notification' | 'batch'
  source: string
  target?: string
  method: string
  args: unknown[]
  options?: {
    timeout: number
    priority: 'high' | 'normal' | 'low'
    requiresResponse: boolean
    retryCount: number
  }
  timestamp: number
  processId: number
  threadId: number
}

interface S0Response {
  requestId: string
  status: 'ok' | 'error' | 'timeout'
  result?: unknown
  error?: {
    code: string
    message: string
    stack?: string
  }
  duration: number
}

type S0Handler = (args: never, context: HandlerContext) => unknown

interface S0Router {
  registerHandler(method: string, handler: S0Handler): void
  registerNamespace(namespace: string, handlers: Record<string, S0Handler>): void
  send(message: S0Message): Promise<S0Response>
  sendTo(targetProcess: string, message: S0Message): Promise<S0Response>
  broadcast(message: S0Message, filter?: ProcessFilter): Promise<S0Response[]>
  call(method: string, ...args: unknown[]): Promise<unknown>
}

interface S0Queue {
  capacity: number
  highWaterMark: number
  lowWaterMark: number
  enqueue(message: S0Message): Promise<void>
  dequeue(timeoutMs: number): Promise<S0Message | null>
  size(): Promise<number>
  clear(): Promise<void>
}

interface S0RetryPolicy {
  maxRetries: number
  initialDelayMs: number
  maxDelayMs: number
  backoffMultiplier: number
  addJitter(delay: number): number
}

interface S0Metrics {
  messagesPerSecond: number
  bytesPerSecond: number
  p50Latency: number
  p95Latency: number
  p99Latency: number
  maxLatency: number
  avgQueueSize: number
  maxQueueSize: number
  dropCount: number
  errorRate: number
  timeoutRate: number
  retryRate: number
}

describe('the document’s interfaces', () => {
  it('2.1: its messages can be sent, and are what arrives', () => {
    expectTypeOf<S0Message>().toExtend<IPCMessage>()
    expectTypeOf<CompleteIPCMessage>().toExtend<S0Message>()
    expectTypeOf<S0Message & { options: object }>().toExtend<CompleteIPCMessage>()
    expectTypeOf(validateIPCMessage).returns.toExtend<S0Message>()
    expectTypeOf<HandlerContext['message']>().toExtend<S0Message>()
  })

  it('2.1: its responses', () => {
    expectTypeOf<IPCResponse>().toExtend<S0Response>()
    expectTypeOf<S0Response>().toExtend<IPCResponse>()
  })

  it('2.1: what is sent asks for id, type, source, args, and a method but for a batch', () => {
    type Least = { id: string; source: string; args: unknown[] }
    expectTypeOf<Least & { type: 'request'; method: string }>().toExtend<IPCMessage>()
    expectTypeOf<Least & { type: 'batch' }>().toExtend<IPCMessage>()
    expectTypeOf<Least & { type: 'request' }>().not.toExtend<IPCMessage>()
    expectTypeOf<Least & { method: string }>().not.toExtend<IPCMessage>()
    expectTypeOf<Omit<Least, 'id'> & { type: 'request'; method: string }>().not.toExtend<IPCMessage>()
    expectTypeOf<Omit<Least, 'source'> & { type: 'request'; method: string }>().not.toExtend<IPCMessage>()
    expectTypeOf<Omit<Least, 'args'> & { type: 'request'; method: string }>().not.toExtend<IPCMessage>()
  })

  it('2.2: its router', () => {
    expectTypeOf<Omit<IPCRouter, 'registerHandler' | 'registerNamespace'>>().toExtend<
      Omit<S0Router, 'registerHandler' | 'registerNamespace'>
    >()
    expectTypeOf<IPCRouter['registerHandler']>().toBeCallableWith('m', async (args) => args[0])
    expectTypeOf<IPCRouter['registerNamespace']>().toBeCallableWith('m', { n: ([first]) => first })
    expectTypeOf(IPCRouter.connect).toBeCallableWith({ app: 'app', id: 'renderer-1' })
    expectTypeOf(IPCRouter.listen).toBeCallableWith({ app: 'app', id: 'main', manifest: {} })
  })

  it('4.3: its queue', () => {
    expectTypeOf<MessageQueue<S0Message>>().toExtend<Readonly<S0Queue>>()
    expectTypeOf(new MessageQueue({ capacity: 10, highWaterMark: 8, lowWaterMark: 2 })).toEqualTypeOf<
      MessageQueue<IPCMessage>
    >()
  })

  it('5.2: its policy', () => {
    expectTypeOf<RetryPolicy>().toEqualTypeOf<S0RetryPolicy>()
    expectTypeOf(defaultRetryPolicy).toExtend<S0RetryPolicy>()
    expectTypeOf(sendWithRetry).toBeCallableWith({} as S0Message, defaultRetryPolicy)
  })

  it('6.1: its metrics', () => {
    expectTypeOf<IPCMetrics>().toEqualTypeOf<Readonly<S0Metrics>>()
  })
})
