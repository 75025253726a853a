import { connect, Socket } from 'node:net'
import type { Transport, TransportEvents } from '../core/transport.ts'
import { FrameReader } from '../wire/frameReader.ts'
import { Framer } from '../wire/framer.ts'
import { Linger } from './linger.ts'

/** Handed to the kernel or kept for it before `send` says false: a mebibyte in fragments. */
const HIGH_WATER_BYTES = 1024 * 1024 + 64 * 1024
/** Frames from this size on are written at the end of the turn. */
const ROW_BYTES = 4096
/** How long a socket may take to let its last bytes out. */
const CLOSE_MS = 1_000

export interface SocketOptions {
  /**
   * What keeps the event loop awake between messages that answer each other; one {@link Linger} may serve several
   * links. `false` lets the process sleep at once. Default: one of this link's own.
   */
  readonly linger?: Linger | boolean
}

function lingerOf({ linger = true }: SocketOptions): Linger | undefined {
  return linger === true ? new Linger() : linger || undefined
}

/**
 * A socket whose reading is its transport's: nothing is allocated for what comes in. They are made together,
 * because whoever listened to `data` would see nothing.
 *
 * @param from a path or pipe name to connect to, or an inherited descriptor.
 */
export function openSocket(
  from: { readonly path: string } | { readonly fd: number },
  options: SocketOptions = {},
): {
  readonly socket: Socket
  readonly transport: Transport
} {
  if (process.versions.bun !== undefined) return bunSocket(from, options)
  const intake = new Intake(lingerOf(options))
  const { onread } = intake
  const socket =
    'path' in from
      ? connect({ path: from.path, onread })
      : new Socket({ fd: from.fd, readable: true, writable: true, ...{ onread } })
  return { socket, transport: transportOver(socket, intake) }
}

/** Bun adopts an open descriptor by `connect` alone, and reads into buffers of its own. */
function bunSocket(from: { readonly path: string } | { readonly fd: number }, options: SocketOptions) {
  const source: object = from
  const socket = new Socket().connect(source as { path: string })
  return { socket, transport: socketTransport(socket, options) }
}

/**
 * A Unix socket, Windows named pipe or inherited socket pair as a transport, whoever made the socket. It is the
 * transport's from here on, best before its first bytes: nobody else reads or writes it, but whoever destroys
 * it ends the link. `send` says false when what the kernel did not take at once is over a high-water mark.
 */
export function socketTransport(socket: Socket, options: SocketOptions = {}): Transport {
  const linger = lingerOf(options)
  const intake = new Intake(linger)
  const own = takenOver(socket, intake)
  return own ? transportOver(own, intake) : transportOver(socket, undefined, linger)
}

/**
 * The connection of a plain socket that nobody has read from, under a socket of ours that reads into memory of
 * its own: Node lets only whoever makes a socket say where its bytes go, and a chunk of 64 KiB for each read is
 * what a server costs otherwise. The two end together. Undefined where a connection cannot be had.
 */
function takenOver(socket: Socket, { onread }: Intake): Socket | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  const isPlain = Object.getPrototypeOf(socket) === Socket.prototype
  const isFresh = !socket.connecting && socket.bytesRead === 0 && socket.listenerCount('data') === 0
  if (process.versions.bun !== undefined || !isPlain || !isFresh) return undefined
  if (typeof handle !== 'object' || handle === null || !('useUserBuffer' in handle)) return undefined
  if (!Reflect.set(socket, '_handle', null)) return undefined
  const options = { handle, onread, allowHalfOpen: socket.allowHalfOpen }
  const own = new Socket(options)
  own.on('close', () => socket.destroy())
  socket.on('close', () => own.destroy())
  return own
}

/** Memory for reading, not cleared. */
function unclearedBytes(bytes: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer)
}

/** A socket's reading, straight into the memory of a frame reader. After one read it rests until frames are wanted. */
class Intake {
  readonly reader = new FrameReader(unclearedBytes)
  readonly #linger: Linger | undefined
  /** Called when a frame's length is illegal; set when frames are wanted. */
  onfault: (() => void) | undefined
  readonly onread = {
    buffer: (): Uint8Array => this.reader.room(),
    callback: (bytes: number): boolean => {
      this.#linger?.heard(bytes)
      if (!this.reader.took(bytes)) this.onfault?.()
      return this.onfault !== undefined
    },
  }

  constructor(linger: Linger | undefined) {
    this.#linger = linger
  }
}

/** @param intake how the socket reads, when it does not emit what it has read; else `linger` is told of that. */
function transportOver(socket: Socket, intake: Intake | undefined, linger?: Linger): Transport {
  let events: TransportEvents | undefined
  let reason: string | undefined
  let closed = false
  let full = false
  /** Large frames come in rows: all of a turn leave in one call of the system, neighbours as one piece. */
  let row: Uint8Array[] = []
  let rowBytes = 0
  const add = (bytes: Uint8Array): void => {
    rowBytes += bytes.length
    const last = row[row.length - 1]
    if (last && last.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset) {
      row[row.length - 1] = new Uint8Array(last.buffer, last.byteOffset, last.length + bytes.length)
    } else row.push(bytes)
  }
  const writeRow = (): void => {
    if (row.length === 0) return
    const pieces = row
    row = []
    rowBytes = 0
    socket.cork()
    for (const piece of pieces) socket.write(piece)
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
      if (row.length === 0 && !tail && frames.length < ROW_BYTES) socket.write(frames)
      else {
        if (row.length === 0) process.nextTick(writeRow)
        add(frames)
        if (tail) add(tail)
      }
      full = socket.writableLength + rowBytes >= HIGH_WATER_BYTES
      return !full
    },
    close(given = 'TRANSPORT_CLOSED') {
      if (reason !== undefined) return
      reason = given
      // What was written is let out first, within bounds.
      writeRow()
      socket.end(() => socket.destroy())
      socket.resume()
      setTimeout(() => socket.destroy(), CLOSE_MS).unref()
    },
    attach(given) {
      events = given
      const { keeps = false } = given
      const kept = () => keeps && (given.kept?.() ?? true)
      const deliver = (frames: Uint8Array) => {
        if (reason === undefined) given.frame(frames)
      }
      const fault = () => {
        reason = 'PROTOCOL_ERROR'
        socket.destroy()
      }
      if (intake) {
        intake.onfault = fault
        if (!intake.reader.start(deliver, kept)) fault()
        else socket.resume()
      } else {
        const framer = new Framer(deliver, keeps)
        socket.on('data', (chunk: Buffer) => {
          linger?.heard(chunk.length)
          if (reason === undefined && !framer.push(chunk)) fault()
        })
      }
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
    flush() {
      writeRow()
      return socket.writableLength === 0 || socket.destroyed
    },
  }
}
