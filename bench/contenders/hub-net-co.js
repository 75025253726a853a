import { once } from 'node:events'
import { connect, drained, gatheringWriter, listen, readFrames } from '../lib/frames.js'
import { messageCallee, messageCaller } from '../lib/messages.js'
import { makeQueue } from '../lib/queue.js'

/**
 * The floor of W5: a raw hub. A frame is `u32 length · u16 far end · u16 kind · body`. The hub reads those eight
 * bytes, puts the sender's number where the receiver's was and passes the frame on: small frames gathered, the
 * bytes of large ones as they come in. It decodes nothing and assembles nothing.
 */

const HEADER_BYTES = 8
const CALLEE = 1
const CALLER = 2
const JSON_TEXT = 0
const ECHO = 1
const CHUNK = 2
const CHUNKS_END = 3
const JOIN = 4

/** @typedef {import('node:net').Socket} Socket */
/** @typedef {{ number: number, socket: Socket, out: ReturnType<typeof gatheringWriter>, go(): void, owner?: Peer, waiting: Peer[] }} Peer */

/** @param {number} to @param {number} kind */
function routing(to, kind) {
  return to | (kind << 16)
}

/** @param {Socket} socket @param {Map<number, Peer>} peers */
function switchFrames(socket, peers) {
  /** @type {Peer} */
  const self = { number: 0, socket, out: gatheringWriter(socket), go, waiting: [] }
  /** @type {Buffer | undefined} */
  let rest
  /** @type {Peer | undefined} where the rest of a large frame goes */
  let target
  let owed = 0

  socket.on('data', forward)
  socket.on('drain', () => {
    // Whoever holds back for this one, or for another's large frame towards it, may go on.
    const waiting = self.waiting
    self.waiting = []
    for (const peer of waiting) peer.go()
  })

  /** @param {Peer} to */
  function holdBack(to) {
    socket.pause()
    to.waiting.push(self)
  }

  function go() {
    socket.resume()
    if (rest) forward(Buffer.alloc(0))
  }

  /** @param {Buffer} chunk */
  function forward(chunk) {
    let buffer = chunk
    if (rest) {
      buffer = Buffer.concat([rest, chunk])
      rest = undefined
    }
    let at = 0
    /** @type {Peer | undefined} */
    let fullOne
    while (at < buffer.length) {
      if (target) {
        const end = Math.min(buffer.length, at + owed)
        if (!target.out.bytes(buffer, at, end)) fullOne = target
        owed -= end - at
        at = end
        if (owed > 0) break
        target.owner = undefined
        if (target.waiting.length > 0 && !target.socket.writableNeedDrain) target.socket.emit('drain')
        target = undefined
        continue
      }
      if (buffer.length - at < HEADER_BYTES) break
      const length = HEADER_BYTES + buffer.readUInt32LE(at)
      if (buffer.readUInt16LE(at + 6) === JOIN) {
        self.number = buffer.readUInt16LE(at + 4)
        peers.set(self.number, self)
        self.out.text('', routing(self.number, JOIN))
        at += length
        continue
      }
      const to = peers.get(buffer.readUInt16LE(at + 4))
      if (!to) {
        socket.destroy()
        return
      }
      if (to.owner) {
        fullOne = to
        break
      }
      buffer.writeUInt16LE(self.number, at + 4)
      if (at + length <= buffer.length) {
        if (!to.out.bytes(buffer, at, at + length)) fullOne = to
        at += length
      } else if (length > 64 * 1024) {
        target = to
        to.owner = self
        owed = length
      } else {
        buffer.writeUInt16LE(to.number, at + 4)
        break
      }
    }
    if (at < buffer.length) rest = buffer.subarray(at)
    if (fullOne) holdBack(fullOne)
  }
}

/**
 * One end: JSON messages, whole binary messages and chunks of a byte stream.
 * @param {string} path @param {number} self @param {number} far
 */
async function join(path, self, far) {
  const socket = await connect(path)
  const out = gatheringWriter(socket)
  out.text('', routing(self, JOIN))
  // The hub answers the same, so that both are known to it before anybody sends.
  const [joined] = await once(socket, 'data')
  if (joined.length !== HEADER_BYTES) throw new Error('the hub said something else than welcome')
  const channel = {
    /** @param {object} message */
    send: (message) => out.text(JSON.stringify(message), routing(far, JSON_TEXT)),
    drained: () => drained(socket),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  }
  return {
    channel,
    close: () => socket.destroy(),
    /** @param {number} kind @param {Uint8Array} bytes */
    sendBytes(kind, bytes) {
      const header = Buffer.allocUnsafe(HEADER_BYTES)
      header.writeUInt32LE(bytes.length, 0)
      header.writeUInt32LE(routing(far, kind), 4)
      out.flush()
      socket.cork()
      socket.write(header)
      const went = socket.write(bytes)
      socket.uncork()
      return went
    },
    /** @param {(message: any) => void} onMessage @param {(kind: number, bytes: Buffer) => void} onBytes */
    receive(onMessage, onBytes) {
      readFrames(socket, HEADER_BYTES, (buffer, start, end, header, headerAt) => {
        const kind = header.readUInt16LE(headerAt + 6)
        if (kind === JSON_TEXT) onMessage(JSON.parse(buffer.toString('utf8', start, end)))
        else onBytes(kind, buffer.subarray(start, end))
      })
    },
    /** @param {AsyncIterable<Uint8Array>} source */
    async sendAll(source) {
      for await (const chunk of source) if (!this.sendBytes(CHUNK, chunk)) await drained(socket)
      this.sendBytes(CHUNKS_END, Buffer.alloc(0))
    },
  }
}

/** @param {import('../lib/messages.js').Channel} channel */
function chunkQueue(channel) {
  return makeQueue({ high: 16, full: () => channel.pause?.(), room: () => channel.resume?.() })
}

/** @type {import('../lib/contender.js').Contender} */
export default {
  name: 'hub-net-co',
  kind: 'hub',
  workloads: ['W1', 'W2', 'W3', 'W4', 'W4.10MB', 'W4.100MB', 'W7'],
  async hub(env) {
    /** @type {Map<number, Peer>} */
    const peers = new Map()
    return listen(env.socket, (socket) => switchFrames(socket, peers))
  },
  async serve(env, handlers) {
    const end = await join(env.socket, CALLEE, CALLER)
    /** @type {ReturnType<typeof makeQueue> | undefined} */
    let chunks
    end.receive(messageCallee(end.channel, { ...handlers }).receive, async (kind, bytes) => {
      if (kind === ECHO) end.sendBytes(ECHO, await handlers.echo(bytes))
      else if (kind === CHUNKS_END) {
        chunks?.end()
        chunks = undefined
      } else {
        if (!chunks) {
          chunks = chunkQueue(end.channel)
          end.sendAll(handlers.pipe(/** @type {any} */ (chunks)))
        }
        chunks.push(bytes)
      }
    })
    return { close: end.close }
  },
  async connect(env) {
    const end = await join(env.socket, CALLER, CALLEE)
    const { client, receive } = messageCaller(end.channel)
    /** @type {(bytes: Uint8Array) => void} */
    let settle = () => {}
    /** @type {ReturnType<typeof makeQueue> | undefined} */
    let chunks
    end.receive(receive, (kind, bytes) => {
      if (kind === ECHO) settle(bytes)
      else if (kind === CHUNK) chunks?.push(bytes)
      else chunks?.end()
    })
    return /** @type {any} */ ({
      ...client,
      /** @param {Uint8Array} bytes */
      echo: (bytes) =>
        new Promise((resolve) => {
          settle = resolve
          end.sendBytes(ECHO, bytes)
        }),
      /** @param {AsyncIterable<Uint8Array>} source */
      async *pipe(source) {
        chunks = chunkQueue(end.channel)
        const sending = end.sendAll(source)
        yield* chunks
        await sending
      },
      close: end.close,
    })
  },
}
