import type { Socket } from 'node:net'
import type { Transport, TransportEvents } from '../core/transport.ts'
import { Framer } from '../wire/framer.ts'

/**
 * A Unix socket, Windows named pipe or inherited socket pair as a transport. `send` says false when what
 * the kernel did not take at once is over the socket's high-water mark.
 */
export function socketTransport(socket: Socket): Transport {
  let events: TransportEvents | undefined
  let reason: string | undefined
  let closed = false

  const framer = new Framer((frames) => events?.frame(frames))
  const finish = (): void => {
    if (closed) return
    closed = true
    events?.close(reason ?? 'TRANSPORT_CLOSED')
  }

  return {
    send(frames, tail) {
      if (closed || reason !== undefined) return true
      if (!tail) return socket.write(frames)
      socket.cork()
      socket.write(frames)
      const more = socket.write(tail)
      socket.uncork()
      return more
    },
    close(given = 'TRANSPORT_CLOSED') {
      if (reason !== undefined) return
      reason = given
      // A protocol fault ends at once; otherwise what was written is let out first, within bounds.
      if (given === 'PROTOCOL_ERROR') socket.destroySoon()
      else socket.end(() => socket.destroy())
      socket.resume()
      setTimeout(() => socket.destroy(), CLOSE_MS).unref()
    },
    attach(given) {
      events = given
      socket.on('data', (chunk: Buffer) => {
        if (reason === undefined && !framer.push(chunk)) {
          reason = 'PROTOCOL_ERROR'
          socket.destroy()
        }
      })
      socket.on('drain', () => events?.drain())
      // 'close' follows an error; the error itself says nothing that the close does not.
      socket.on('error', () => socket.destroy())
      socket.on('end', () => socket.end())
      socket.on('close', finish)
      if (socket.destroyed) queueMicrotask(finish)
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
  }
}

/** How long a socket may take to let its last bytes out. */
const CLOSE_MS = 1_000
