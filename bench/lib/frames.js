import { once } from 'node:events'
import { createServer, connect as netConnect } from 'node:net'

/**
 * What the floors share: frames of a u32 length and, where a hub has to read it, a u32 of routing, over a socket.
 */

export const GATHER_BYTES = 2048
const SLAB_BYTES = 64 * 1024

/** @typedef {import('node:net').Socket} Socket */

/**
 * Calls `onFrame(buffer, start, end)` with the body of every frame. A frame larger than a read is assembled once,
 * into a buffer of its own size.
 * @param {Socket} socket
 * @param {number} headerBytes 4, or more when more follows the length
 * @param {(buffer: Buffer, start: number, end: number, header: Buffer, headerAt: number) => void} onFrame
 */
export function readFrames(socket, headerBytes, onFrame) {
  /** @type {Buffer | undefined} */
  let rest
  /** @type {Buffer | undefined} a large frame that is being assembled, with its header before it */
  let large
  let filled = 0
  socket.on('data', (/** @type {Buffer} */ chunk) => {
    let at = 0
    if (large) {
      const taken = chunk.copy(large, filled)
      filled += taken
      at = taken
      if (filled < large.length) return
      const whole = large
      large = undefined
      onFrame(whole, headerBytes, whole.length, whole, 0)
    }
    let buffer = chunk
    if (rest) {
      buffer = Buffer.concat([rest, chunk])
      rest = undefined
    }
    while (buffer.length - at >= headerBytes) {
      const end = at + headerBytes + buffer.readUInt32LE(at)
      if (end > buffer.length) {
        if (end - at <= SLAB_BYTES) break
        large = Buffer.allocUnsafeSlow(end - at)
        filled = buffer.copy(large, 0, at)
        return
      }
      onFrame(buffer, at + headerBytes, end, buffer, at)
      at = end
    }
    if (at < buffer.length) rest = buffer.subarray(at)
  })
}

/** One write a message: length, then text. @param {Socket} socket @returns {(text: string) => boolean} */
export function plainWriter(socket) {
  return (text) => {
    const bytes = Buffer.byteLength(text)
    const frame = Buffer.allocUnsafe(4 + bytes)
    frame.writeUInt32LE(bytes, 0)
    frame.write(text, 4, 'utf8')
    return socket.write(frame)
  }
}

/**
 * Gathers small frames and writes at 2 KiB or at the end of the tick, whichever is first.
 * @param {Socket} socket
 */
export function gatheringWriter(socket) {
  let slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
  let start = 0
  let end = 0
  let scheduled = false

  function flush() {
    if (end === start) return !socket.writableNeedDrain
    const ready = slab.subarray(start, end)
    start = end
    return socket.write(ready)
  }
  function endOfTick() {
    scheduled = false
    flush()
  }
  /** @param {number} bytes */
  function makeRoom(bytes) {
    if (end + bytes <= slab.length) return
    flush()
    slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes))
    start = end = 0
  }
  function written() {
    if (end - start >= GATHER_BYTES) return flush()
    if (!scheduled) {
      scheduled = true
      process.nextTick(endOfTick)
    }
    return !socket.writableNeedDrain
  }

  return {
    flush,
    /** @param {string} text @param {number} [routing] a u32 that follows the length */
    text(text, routing) {
      const header = routing === undefined ? 4 : 8
      makeRoom(header + text.length * 3)
      const bytes = slab.write(text, end + header, 'utf8')
      slab.writeUInt32LE(bytes, end)
      if (routing !== undefined) slab.writeUInt32LE(routing, end + 4)
      end += header + bytes
      return written()
    },
    /** Copies what is small, writes what is not. @param {Buffer} buffer @param {number} from @param {number} to */
    bytes(buffer, from, to) {
      if (to - from >= GATHER_BYTES) {
        flush()
        return socket.write(buffer.subarray(from, to))
      }
      makeRoom(to - from)
      buffer.copy(slab, end, from, to)
      end += to - from
      return written()
    },
  }
}

/** @param {Socket} socket */
export async function drained(socket) {
  if (socket.writableNeedDrain) await once(socket, 'drain')
}

/** What comes in, without destroying a duplex stream whose other direction may still be busy.
 * @param {import('node:stream').Readable} stream @returns {AsyncIterable<Buffer>} */
export function readAll(stream) {
  return stream.iterator({ destroyOnReturn: false })
}

/** Listens and hands over each connection. @param {string} path @param {(socket: Socket) => void} onSocket
 * @param {import('node:net').ServerOpts} [options] */
export async function listen(path, onSocket, options = {}) {
  /** @type {Set<Socket>} */
  const sockets = new Set()
  const server = createServer(options, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    onSocket(socket)
  })
  server.listen(path)
  await once(server, 'listening')
  return {
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

/** @param {string} path @param {import('node:net').SocketConstructorOpts} [options] */
export async function connect(path, options = {}) {
  const socket = netConnect({ path, ...options })
  await once(socket, 'connect')
  return socket
}
