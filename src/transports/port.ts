import type { Transport, TransportEvents } from '../core/transport.ts'
import { isObject } from '../wire/guards.ts'

/**
 * What a MessagePort of a browser, a worker or Node has in common. Structural, so that no environment is
 * imported: Electron's MessagePortMain fits as well.
 */
export interface PortLike {
  postMessage(message: unknown, transfer?: readonly unknown[]): void
  close?(): void
  start?(): void
  addEventListener?(type: string, listener: (event: object) => void): void
  on?(type: string, listener: (data: unknown) => void): unknown
}

/** Bytes sent and not yet confirmed before `send` says false. */
const HIGH_WATER_BYTES = 512 * 1024
/** What was received is confirmed whenever a multiple of this has been read. */
const CONFIRM_BYTES = 128 * 1024

/**
 * A message port as a transport. Ports have no backpressure of their own, so each side confirms what it has
 * read: a message is either bytes (whole frames), a number (bytes read so far) or a string (the reason of a
 * close). A worker's end is told by its `exit`. The death of another port is not always announced; `close` is
 * sent by the side that closes in good order.
 */
export function portTransport(port: PortLike): Transport {
  let events: TransportEvents | undefined
  /** What is to be handed over: frames, and at last the reason of the close. */
  const queue: (Uint8Array | string)[] = []
  let sent = 0
  let confirmed = 0
  let read = 0
  let closed = false
  let paused = false

  const finish = (reason: string): void => {
    if (closed) return
    closed = true
    queue.push(reason)
    port.close?.()
    queueMicrotask(handOver)
  }

  /** Hands over what has come, in order; a reader that does not read is not confirmed, but told of the end. */
  const handOver = (): void => {
    while (events && (!paused || closed)) {
      const next = queue.shift()
      if (next === undefined) return
      if (typeof next === 'string') return events.close(next)
      read += next.length
      if (!closed && read % CONFIRM_BYTES < next.length) port.postMessage(read)
      events.frame(next)
    }
  }

  const receive = (data: unknown): void => {
    if (closed) return
    if (data instanceof Uint8Array) {
      queue.push(data)
      handOver()
    } else if (typeof data === 'number') {
      confirmed = data
      if (sent - confirmed < HIGH_WATER_BYTES / 2) events?.drain()
    } else {
      finish(typeof data === 'string' ? data : 'PROTOCOL_ERROR')
    }
  }

  const listen = (type: string, listener: (event: unknown) => void): void => {
    if (port.on) port.on(type, listener)
    else port.addEventListener?.(type, listener)
  }
  const ended = (): void => finish('TRANSPORT_CLOSED')

  listen('message', (event) => receive(isObject(event) && 'data' in event ? event.data : event))
  listen('close', ended)
  listen('exit', ended)
  port.start?.()

  return {
    send(frames, tail: ArrayLike<number> = []) {
      if (closed) return true
      // A view would carry its whole buffer along: the message gets a buffer of its own, and gives it away.
      const own = new Uint8Array(frames.length + tail.length)
      own.set(frames)
      own.set(tail, frames.length)
      sent += own.length
      port.postMessage(own, [own.buffer])
      return sent - confirmed < HIGH_WATER_BYTES
    },
    close(reason = 'TRANSPORT_CLOSED') {
      if (closed) return
      port.postMessage(reason)
      finish(reason)
    },
    attach(given) {
      events = given
      queueMicrotask(handOver)
    },
    pause() {
      paused = true
    },
    resume() {
      paused = false
      queueMicrotask(handOver)
    },
    // What is sent is copied.
    flush: () => true,
  }
}
