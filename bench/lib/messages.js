import { makeQueue } from './queue.js'

/**
 * The least protocol that does the workloads, for whoever only moves messages: the floors and child_process.
 * `{ id, method, args }` is a request, without id a notification; `{ id, result }`, `{ id, item }` and
 * `{ id, end }` answer; `{ cancel: id }` stops a stream. No errors, no deadlines, no bounds.
 *
 * @typedef {object} Channel
 * @property {(message: object) => boolean} send false means full
 * @property {() => Promise<void>} drained
 * @property {() => void} [pause] stops the messages coming in, where that is possible
 * @property {() => void} [resume]
 */

/** @param {Channel} channel */
export function messageCaller(channel) {
  let number = 0
  /** @type {Map<number, (result: any) => void>} */
  const pending = new Map()
  /** @type {Map<number, ReturnType<typeof makeQueue>>} */
  const streams = new Map()

  /** @param {string} method @param {unknown} args @returns {Promise<any>} */
  function call(method, args) {
    return new Promise((resolve) => {
      const id = ++number
      pending.set(id, resolve)
      channel.send({ id, method, args })
    })
  }

  return {
    call,
    /** @param {any} message */
    receive(message) {
      const { id } = message
      if (message.item !== undefined) streams.get(id)?.push(message.item)
      else if (message.end) {
        streams.get(id)?.end()
        streams.delete(id)
      } else {
        const resolve = pending.get(id)
        pending.delete(id)
        resolve?.(message.result)
      }
    },
    client: {
      /** @param {import('./payload.js').Args} args */
      request: (args) => call('request', args),
      /** @param {import('./payload.js').Args} args */
      notify(args) {
        if (!channel.send({ method: 'notify', args })) return channel.drained()
      },
      /** @param {{ count: number }} args @returns {AsyncIterable<any>} */
      items(args) {
        const id = ++number
        const queue = makeQueue({
          full: () => channel.pause?.(),
          room: () => channel.resume?.(),
          stopped() {
            streams.delete(id)
            channel.send({ cancel: id })
          },
        })
        streams.set(id, queue)
        channel.send({ id, method: 'items', args })
        return queue
      },
    },
  }
}

/** @param {Channel} channel @param {Record<string, (args: any) => any>} handlers */
export function messageCallee(channel, handlers) {
  /** @type {Set<number>} */
  const streaming = new Set()

  /** @param {any} message */
  async function answer({ id, method, args }) {
    channel.send({ id, result: await handlers[method](args) })
  }

  /** @param {number} id @param {any} args */
  async function stream(id, args) {
    streaming.add(id)
    for await (const item of handlers.items(args)) {
      if (!channel.send({ id, item })) await channel.drained()
      if (!streaming.has(id)) return
    }
    streaming.delete(id)
    channel.send({ id, end: true })
  }

  return {
    /** @param {any} message */
    receive(message) {
      if (message.cancel !== undefined) streaming.delete(message.cancel)
      else if (message.id === undefined) handlers[message.method](message.args)
      else if (message.method === 'items') stream(message.id, message.args)
      else answer(message)
    },
  }
}
