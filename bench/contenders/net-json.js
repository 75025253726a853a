import { connect, drained, gatheringWriter, listen, plainWriter, readFrames } from '../lib/frames.js'
import { messageCallee, messageCaller } from '../lib/messages.js'

/**
 * The floor: a raw Unix socket, a length and JSON, one write a message, and the same with the frames of a tick
 * gathered into one write.
 *
 * @param {string} name
 * @param {(socket: import('node:net').Socket) => (text: string) => boolean} makeWriter
 * @returns {import('../lib/contender.js').Contender}
 */
function netJson(name, makeWriter) {
  /** @param {import('node:net').Socket} socket */
  function makeChannel(socket) {
    const write = makeWriter(socket)
    return {
      /** @param {object} message */
      send: (message) => write(JSON.stringify(message)),
      drained: () => drained(socket),
      pause: () => socket.pause(),
      resume: () => socket.resume(),
    }
  }

  /** @param {import('node:net').Socket} socket @param {(message: any) => void} receive */
  function receiveOn(socket, receive) {
    readFrames(socket, 4, (buffer, start, end) => receive(JSON.parse(buffer.toString('utf8', start, end))))
  }

  return {
    name,
    kind: 'direct',
    workloads: ['W1', 'W2', 'W3', 'W7'],
    serve: (env, handlers) =>
      listen(env.socket, (socket) =>
        receiveOn(socket, messageCallee(makeChannel(socket), { ...handlers }).receive),
      ),
    async connect(env) {
      const socket = await connect(env.socket)
      const { client, receive } = messageCaller(makeChannel(socket))
      receiveOn(socket, receive)
      return /** @type {any} */ ({ ...client, close: () => socket.destroy() })
    },
  }
}

export default [
  netJson('net-json', plainWriter),
  netJson('net-json-co', (socket) => gatheringWriter(socket).text),
]
