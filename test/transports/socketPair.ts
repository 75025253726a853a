import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Transport } from '../../src/core/transport.ts'
import { openSocket, type SocketOptions, socketTransport } from '../../src/transports/socket.ts'

/** Both ends of a Unix socket, by a server and a client. */
export async function socketPair(options: SocketOptions = {}): Promise<{
  near: Transport
  far: Transport
  kill: () => void
  dispose: () => void
}> {
  const folder = mkdtempSync(join(tmpdir(), 'vs-'))
  const server = createServer()
  server.listen(join(folder, 's'))
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const client = openSocket({ path: join(folder, 's') }, options)
  const [socket] = await accepted
  if (!(socket instanceof Socket)) throw new TypeError('no socket')
  return {
    near: socketTransport(socket, options),
    far: client.transport,
    kill: () => client.socket.destroy(),
    dispose: () => {
      client.socket.destroy()
      socket.destroy()
      server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
