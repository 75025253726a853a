import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Socket } from 'node:net'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { farEnd, remoteEnd, transportSuite } from '../../src/testing/index.ts'
import { socketTransport } from '../../src/transports/socket.ts'
import { bundled } from './bundled.ts'
import { socketPair } from './socketPair.ts'

transportSuite(
  'Unix socket, client and server',
  async () => {
    const { near, far, kill, dispose } = await socketPair()
    return { near, far: farEnd(far, kill), dispose }
  },
  { describe, it },
)

transportSuite(
  'Unix socket, server and client',
  async () => {
    const { near, far, dispose } = await socketPair()
    return { near: far, far: farEnd(near, dispose), dispose }
  },
  { describe, it },
)

const program = bundled('farChild.mjs', { beforeAll, afterAll })

transportSuite(
  'socket pair that a child process inherits',
  async () => {
    const child = spawn(process.execPath, [program()], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', 'pipe'],
      env: { SUITE_FD: '4' },
    })
    const socket = child.stdio[4]
    if (!(socket instanceof Socket)) throw new TypeError('no socket')
    const gone = once(child, 'exit')
    const far = remoteEnd(
      {
        post: (message) => {
          if (child.connected) child.send(JSON.parse(JSON.stringify(message)))
        },
        listen: (listener) => child.on('message', listener),
      },
      () => child.kill('SIGKILL'),
    )
    return {
      near: socketTransport(socket),
      far,
      dispose: async () => {
        child.kill('SIGKILL')
        socket.destroy()
        await gone
      },
    }
  },
  { describe, it },
)
