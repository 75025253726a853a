import { messageCallee, messageCaller } from '../lib/messages.js'

/**
 * The channel that `fork` makes. It can be told that it is full when sending; its reader cannot be paused. The
 * JSON kind knows no binary, so that it carries base64.
 *
 * @param {'json' | 'advanced'} serialization
 * @returns {import('../lib/contender.js').Contender}
 */
function childProcess(serialization) {
  /** @param {NodeJS.Process | import('node:child_process').ChildProcess} end */
  function makeChannel(end) {
    /** @type {Promise<void>} */
    let written = Promise.resolve()
    let sent = 0
    let full = false
    return {
      /** One message in 32 asks to be told when it was written: when full, that is what is waited for.
       * @param {object} message */
      send(message) {
        if (++sent & 31) {
          if (!end.send?.(message)) full = true
          return true
        }
        /** @type {() => void} */
        let done = () => {}
        const fence = new Promise((resolve) => {
          done = () => resolve(undefined)
        })
        if (end.send?.(message, undefined, undefined, done) && !full) return true
        full = false
        written = fence
        return false
      },
      drained: () => written,
    }
  }
  const isJson = serialization === 'json'
  return {
    name: `child_process ${serialization}`,
    kind: 'direct',
    workloads: ['W1', 'W2', 'W3', 'W4', 'W7'],
    forksCallee: true,
    note: isJson ? 'binary as base64; its reader cannot be paused' : 'its reader cannot be paused',
    async serve(_env, handlers) {
      const callee = messageCallee(makeChannel(process), {
        ...handlers,
        /** @param {any} bytes */
        async echo(bytes) {
          if (!isJson) return handlers.echo(bytes)
          return Buffer.from(await handlers.echo(Buffer.from(bytes, 'base64'))).toString('base64')
        },
      })
      process.on('message', callee.receive)
      return { close: () => process.disconnect?.() }
    },
    async connect(env) {
      const child = env.forkCallee({ serialization })
      const { client, call, receive } = messageCaller(makeChannel(child))
      child.on('message', receive)
      return /** @type {any} */ ({
        ...client,
        /** @param {Buffer} bytes */
        async echo(bytes) {
          if (!isJson) return call('echo', bytes)
          return Buffer.from(await call('echo', bytes.toString('base64')), 'base64')
        },
        close: () => child.connected && child.disconnect(),
      })
    },
  }
}

export default [childProcess('json'), childProcess('advanced')]
