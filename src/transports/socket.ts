import { connect, Socket } from 'node:net'
import type { Transport, TransportEvents } from '../core/transport.ts'
import { Framer } from '../wire/framer.ts'

/** Read at once by sockets that read into memory of their own. */
const READ_BYTES = 256 * 1024
/** Handed to the kernel or kept for it before `send` says false. */
const HIGH_WATER_BYTES = 1024 * 1024
/** How long a socket may take to let its last bytes out. */
const CLOSE_MS = 1_000

/**
 * A socket that reads into one buffer of its own, again and again: nothing is allocated for what comes in.
 * Its transport is made with it, because whoever listens to `data` as well would see nothing.
 *
 * @param from a path or pipe name to connect to, or an inherited descriptor.
 */
export function openSocket(from: { readonly path: string } | { readonly fd: number }): {
  readonly socket: Socket
  readonly transport: Transport
} {
  if (process.versions.bun !== undefined) return bunSocket(from)
  const early: Uint8Array[] = []
  let read = (chunk: Uint8Array): void => {
    early.push(chunk.slice())
  }
  const onread = {
    buffer: new Uint8Array(READ_BYTES),
    callback: (bytes: number, buffer: Uint8Array): boolean => {
      read(buffer.subarray(0, bytes))
      return true
    },
  }
  const socket =
    'path' in from
      ? connect({ path: from.path, onread })
      : new Socket({ fd: from.fd, readable: true, writable: true, ...{ onread } })
  const transport = transportOver(socket, (given) => {
    read = given
    for (const chunk of early.splice(0)) given(chunk)
  })
  return { socket, transport }
}

/** Bun adopts an open descriptor by `connect` alone, and reads into buffers of its own. */
function bunSocket(from: { readonly path: string } | { readonly fd: number }) {
  const options: object = from
  const socket = new Socket().connect(options as { path: string })
  return { socket, transport: socketTransport(socket) }
}

/**
 * A Unix socket, Windows named pipe or inherited socket pair as a transport, whoever made the socket. `send`
 * says false when what the kernel did not take at once is over the socket's high-water mark.
 */
export function socketTransport(socket: Socket): Transport {
  return transportOver(socket, (read) => socket.on('data', (chunk: Buffer) => read(chunk)))
}

function transportOver(socket: Socket, listen: (read: (chunk: Uint8Array) => void) => void): Transport {
  let events: TransportEvents | undefined
  let reason: string | undefined
  let closed = false
  let full = false
  let corked = false
  const uncork = (): void => {
    corked = false
    socket.uncork()
  }

  const finish = (): void => {
    if (closed) return
    closed = true
    events?.close(reason ?? 'TRANSPORT_CLOSED')
  }

  return {
    send(frames, tail) {
      if (closed || reason !== undefined) return true
      if (tail) {
        // Large frames come in rows: all of a turn leave in one call of the system.
        if (!corked) {
          corked = true
          socket.cork()
          process.nextTick(uncork)
        }
        socket.write(frames)
        socket.write(tail)
      } else {
        socket.write(frames)
      }
      full = socket.writableLength >= HIGH_WATER_BYTES
      return !full
    },
    close(given = 'TRANSPORT_CLOSED') {
      if (reason !== undefined) return
      reason = given
      // What was written is let out first, within bounds.
      socket.end(() => socket.destroy())
      socket.resume()
      setTimeout(() => socket.destroy(), CLOSE_MS).unref()
    },
    attach(given) {
      events = given
      const framer = new Framer((frames) => given.frame(frames), given.keeps ?? false)
      listen((chunk) => {
        if (reason === undefined && !framer.push(chunk)) {
          reason = 'PROTOCOL_ERROR'
          socket.destroy()
        }
      })
      socket.on('drain', () => {
        if (!full) return
        full = false
        given.drain()
      })
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
