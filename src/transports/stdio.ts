import { fstatSync } from 'node:fs'
import { Socket } from 'node:net'
import { Readable, type Writable } from 'node:stream'
import type { Transport, TransportEvents } from '../core/transport.ts'
import { Framer } from '../wire/framer.ts'

/** Waiting in the stream before `send` says false: a mebibyte in fragments. */
const HIGH_WATER_BYTES = 1024 * 1024 + 64 * 1024
/** How long the output may take to let its last bytes out, and the input to end after the output has. */
const CLOSE_MS = 1_000

export interface StdioOptions {
  /** Told what came where a frame should have begun, before the link ends with PROTOCOL_ERROR: a stray print. */
  readonly onStray?: (bytes: Uint8Array) => void
}

/**
 * Two byte streams as a transport: a child's stdout and stdin, or any other pair. They are the transport's from
 * here on. The end of the input is the end of the link; an output that fails ends it too, once what the far end
 * had written is read.
 */
export function stdioTransport(input: Readable, output: Writable, options: StdioOptions = {}): Transport {
  let events: TransportEvents | undefined
  let reason: string | undefined
  let closed = false
  let full = false
  let corked = false

  const destroy = (): void => {
    input.destroy()
    output.destroy()
  }
  const destroyLater = (): void => {
    setTimeout(destroy, CLOSE_MS).unref()
  }
  const finish = (): void => {
    output.destroy()
    if (closed) return
    closed = true
    events?.close(reason ?? 'TRANSPORT_CLOSED')
  }
  const write = (bytes: Uint8Array): void => {
    if (!corked) {
      // What is sent within a turn leaves in one call of the system.
      corked = true
      output.cork()
      process.nextTick(() => {
        corked = false
        output.uncork()
      })
    }
    output.write(bytes)
  }
  input.on('error', destroy)
  output.on('error', destroyLater)
  return {
    send(frames, tail) {
      if (closed || reason !== undefined) return true
      write(frames)
      if (tail) write(tail)
      full = output.writableLength >= HIGH_WATER_BYTES
      return !full
    },
    close(given = 'TRANSPORT_CLOSED') {
      if (reason !== undefined) return
      reason = given
      output.end(destroy)
      input.resume()
      destroyLater()
    },
    attach(given) {
      events = given
      const framer = new Framer((frames) => {
        if (reason === undefined) given.frame(frames)
      }, given.keeps)
      input.on('data', (chunk: Buffer) => {
        if (reason !== undefined || framer.push(chunk)) return
        if (framer.refused) options.onStray?.(framer.refused)
        reason = 'PROTOCOL_ERROR'
        destroy()
      })
      output.on('drain', () => {
        if (!full) return
        full = false
        given.drain()
      })
      input.on('end', destroy)
      input.on('close', finish)
      output.on('close', destroyLater)
      if (input.destroyed) queueMicrotask(finish)
    },
    pause: () => void input.pause(),
    resume: () => void input.resume(),
  }
}

/**
 * This process's stdin and stdout as a transport. From here on they are the link's alone: whatever would be
 * printed on stdout, by `console.log` or `process.stdout`, goes to stderr, and `process.stdin` is at its end.
 * What writes to descriptor 1 by itself, as a program started with `stdio: 'inherit'` does, still breaks the link.
 */
export function openStdio(): Transport {
  const input = new Socket({ fd: 0, readable: true, writable: false })
  const output = new Socket({ fd: 1, readable: false, writable: true })
  // On the object, not in its place: the console may hold it already.
  process.stdout.write = process.stderr.write.bind(process.stderr)
  const ended = Readable.from([])
  Object.defineProperty(process, 'stdin', { configurable: true, enumerable: true, get: () => ended })
  return stdioTransport(input, output)
}

/** Why stdin and stdout cannot be a link, or nothing: both have to be a pipe or a socket. */
export function stdioFault(): string {
  for (const [fd, name] of ['stdin', 'stdout'].entries()) {
    try {
      const found = fstatSync(fd)
      if (!found.isFIFO() && !found.isSocket() && process.platform !== 'win32') return `${name} is no pipe`
    } catch {
      return `${name} is not open`
    }
  }
  return ''
}
