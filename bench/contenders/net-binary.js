import { connect, drained, listen, readAll, readFrames } from '../lib/frames.js'

/**
 * The floor of W4: a length and bytes over a raw Unix socket, assembled whole on both sides before use; a byte
 * stream is a connection of its own.
 *
 * @param {import('node:net').Socket} socket
 * @param {Uint8Array} bytes
 */
function writeFrame(socket, bytes) {
  const header = Buffer.allocUnsafe(4)
  header.writeUInt32LE(bytes.length, 0)
  socket.cork()
  socket.write(header)
  socket.write(bytes)
  socket.uncork()
}

/** @param {import('node:net').Socket} socket @param {AsyncIterable<Uint8Array>} source */
async function writeAll(socket, source) {
  for await (const chunk of source) if (!socket.write(chunk)) await drained(socket)
  socket.end()
}

/** @type {import('../lib/contender.js').Contender} */
export default {
  name: 'net-binary',
  kind: 'direct',
  workloads: ['W4', 'W4.10MB', 'W4.100MB'],
  async serve(env, handlers) {
    const messages = await listen(env.socket, (socket) =>
      readFrames(socket, 4, async (buffer, start, end) =>
        writeFrame(socket, await handlers.echo(buffer.subarray(start, end))),
      ),
    )
    const streams = await listen(
      `${env.socket}.bytes`,
      (socket) => void writeAll(socket, handlers.pipe(readAll(socket))),
      { allowHalfOpen: true },
    )
    return {
      close() {
        messages.close()
        streams.close()
      },
    }
  },
  async connect(env) {
    const socket = await connect(env.socket)
    /** @type {(bytes: Uint8Array) => void} */
    let settle = () => {}
    readFrames(socket, 4, (buffer, start, end) => settle(buffer.subarray(start, end)))
    return /** @type {any} */ ({
      /** @param {Uint8Array} bytes */
      echo: (bytes) =>
        new Promise((resolve) => {
          settle = resolve
          writeFrame(socket, bytes)
        }),
      /** @param {AsyncIterable<Uint8Array>} source */
      async *pipe(source) {
        const stream = await connect(`${env.socket}.bytes`, { allowHalfOpen: true })
        const writing = writeAll(stream, source)
        yield* readAll(stream)
        await writing
      },
      close: () => socket.destroy(),
    })
  },
}
