import { connect, listen } from '../lib/frames.js'
import { missing } from '../lib/optional.js'
import { makeQueue } from '../lib/queue.js'
import { makeWindow } from '../lib/window.js'

/** @typedef {import('node:net').Socket} Socket */

const WINDOW = 256

/** @param {Socket} socket */
async function makeConnection(socket) {
  const rpc = await import('vscode-jsonrpc/node')
  return {
    connection: rpc.createMessageConnection(
      new rpc.SocketMessageReader(socket),
      new rpc.SocketMessageWriter(socket),
    ),
    rpc,
  }
}

/** @type {import('../lib/contender.js').Contender} */
export default {
  name: 'vscode-jsonrpc',
  kind: 'direct',
  workloads: ['W1', 'W2', 'W3', 'W4', 'W7'],
  note: 'binary as base64; items as notifications, whose reader cannot be paused',
  unavailable: () => missing('vscode-jsonrpc/node'),
  async serve(env, handlers) {
    return listen(env.socket, async (socket) => {
      const { connection } = await makeConnection(socket)
      connection.onRequest('request', (args) => handlers.request(args))
      connection.onRequest('echo', async (/** @type {string} */ text) => {
        const bytes = await handlers.echo(Buffer.from(text, 'base64'))
        return Buffer.from(bytes).toString('base64')
      })
      connection.onRequest('items', async (/** @type {{ count: number }} */ args, token) => {
        const window = makeWindow(WINDOW)
        for await (const item of handlers.items(args)) {
          const full = window.add(connection.sendNotification('item', item))
          if (full) await full
          if (token.isCancellationRequested) break
        }
        return null
      })
      connection.onNotification('notify', (args) => {
        handlers.notify(args)
      })
      connection.listen()
    })
  },
  async connect(env) {
    const socket = await connect(env.socket)
    const { connection, rpc } = await makeConnection(socket)
    const window = makeWindow(WINDOW)
    /** @type {ReturnType<typeof makeQueue> | undefined} */
    let items
    connection.onNotification('item', (item) => {
      items?.push(item)
    })
    connection.listen()
    return /** @type {any} */ ({
      /** @param {object} args */
      request: (args) => connection.sendRequest('request', args),
      /** @param {object} args */
      notify: (args) => window.add(connection.sendNotification('notify', args)),
      /** @param {Buffer} bytes */
      async echo(bytes) {
        return Buffer.from(await connection.sendRequest('echo', bytes.toString('base64')), 'base64')
      },
      /** @param {{ count: number }} args */
      items(args) {
        const cancel = new rpc.CancellationTokenSource()
        const queue = makeQueue({ stopped: () => cancel.cancel() })
        items = queue
        connection.sendRequest('items', args, cancel.token).then(queue.end, queue.end)
        return queue
      },
      close() {
        connection.dispose()
        socket.destroy()
      },
    })
  },
}
