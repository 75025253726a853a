import type { Transport, TransportEvents } from '../core/transport.ts'
import { readU32 } from '../wire/frame.ts'

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
/** What was received is confirmed at each so many bytes. */
const CONFIRM_BYTES = 128 * 1024

/**
 * A message port as a transport. Ports have no backpressure of their own, so each side confirms what it has
 * read: a message is either bytes (whole frames), a number (bytes read so far) or a string (the reason of a
 * close). A worker's end is told by its `exit`. The death of another port is not always announced; `close` is
 * sent by the side that closes in good order.
 */
export function portTransport(port: PortLike): Transport {
  let events: TransportEvents | undefined
  /** What has come and was not handed over: before {@link Transport.attach}, and while paused. */
  const early: Uint8Array[] = []
  let sent = 0
  let confirmed = 0
  let read = 0
  let announced = 0
  let full = false
  let closed = false
  let paused = false
  let closeReason: string | undefined

  const finish = (reason: string): void => {
    if (closed) return
    closed = true
    closeReason = reason
    port.close?.()
    queueMicrotask(handOver)
  }

  /** Hands over what has come, in order; a reader that does not read is not confirmed. */
  const handOver = (): void => {
    for (let frames = early[0]; frames && events && !paused; frames = early[0]) {
      early.shift()
      read += frames.length
      if (!closed && read - announced >= CONFIRM_BYTES) {
        announced = read
        port.postMessage(read)
      }
      events.frame(frames)
    }
    if (early.length > 0 || closeReason === undefined || !events) return
    const told = events
    events = undefined
    told.close(closeReason)
  }

  const receive = (data: unknown): void => {
    if (closed) return
    if (data instanceof Uint8Array) {
      if (data.length < 4 || readU32(data, 0) === 0) return finish('PROTOCOL_ERROR')
      early.push(data)
      handOver()
    } else if (typeof data === 'number') {
      confirmed = data
      if (full && sent - confirmed < HIGH_WATER_BYTES / 2) {
        full = false
        events?.drain()
      }
    } else {
      finish(typeof data === 'string' ? data : 'PROTOCOL_ERROR')
    }
  }

  if (port.on) {
    port.on('message', receive)
    port.on('close', () => finish('TRANSPORT_CLOSED'))
    port.on('exit', () => finish('TRANSPORT_CLOSED'))
  } else {
    port.addEventListener?.('message', (event) => receive('data' in event ? event.data : undefined))
    port.addEventListener?.('close', () => finish('TRANSPORT_CLOSED'))
    port.start?.()
  }

  return {
    send(frames, tail) {
      if (closed) return true
      // A view would carry its whole buffer along: the message gets a buffer of its own, and gives it away.
      const own = new Uint8Array(frames.length + (tail?.length ?? 0))
      own.set(frames)
      if (tail) own.set(tail, frames.length)
      sent += own.length
      port.postMessage(own, [own.buffer])
      full = sent - confirmed >= HIGH_WATER_BYTES
      return !full
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
  }
}
