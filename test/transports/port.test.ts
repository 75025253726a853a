import { MessageChannel, Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { peerOver } from '../../src/page/peer.ts'
import { farEnd, remoteEnd, type TransportPair, transportSuite } from '../../src/testing/index.ts'
import { portTransport } from '../../src/transports/port.ts'
import { bundled } from './bundled.ts'

function channel(): TransportPair {
  const { port1, port2 } = new MessageChannel()
  return {
    near: portTransport(port1),
    far: farEnd(portTransport(port2), () => port2.close()),
    dispose: () => port1.close(),
  }
}

transportSuite('message channel', channel, { describe, it })

transportSuite('message channel, from a page to the whole peer', channel, { describe, it }, peerOver)

const program = bundled('farWorker.mjs', { beforeAll, afterAll })

transportSuite(
  'worker',
  () => {
    const control = new MessageChannel()
    const worker = new Worker(program(), {
      workerData: { control: control.port2 },
      transferList: [control.port2],
    })
    const far = remoteEnd(
      {
        post: (message) => control.port1.postMessage(message),
        listen: (listener) => control.port1.on('message', listener),
      },
      () => worker.terminate(),
    )
    return {
      near: portTransport(worker),
      far,
      dispose: async () => {
        control.port1.close()
        await worker.terminate()
      },
    }
  },
  { describe, it },
)
