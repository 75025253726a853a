import { MessageChannel } from 'node:worker_threads'
import { describe, it } from 'vitest'
import { faultLink, moveSuite } from '../../src/testing/index.ts'
import { memoryTransports } from '../../src/transports/memory.ts'
import { portTransport } from '../../src/transports/port.ts'
import { socketPair } from './socketPair.ts'

moveSuite('memory to memory', () => ({ first: memoryTransports(), second: memoryTransports() }), {
  describe,
  it,
})

moveSuite(
  'a slow path to a fast one: frames come early',
  () => ({ first: faultLink({ delayMs: 3 }).ends, second: memoryTransports() }),
  { describe, it },
)

moveSuite(
  'memory to a port',
  () => {
    const { port1, port2 } = new MessageChannel()
    return { first: memoryTransports(), second: [portTransport(port1), portTransport(port2)] }
  },
  { describe, it },
)

moveSuite(
  'a socket to memory',
  async () => {
    const sockets = await socketPair()
    return { first: [sockets.near, sockets.far], second: memoryTransports(), dispose: sockets.dispose }
  },
  { describe, it },
)
