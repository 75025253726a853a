import { makeItem, makeReply } from './payload.js'

/**
 * The callee of every contender, and what it saw.
 * @returns {{ handlers: import('./contender.js').Handlers, reset(): void, state(): CalleeState }}
 *
 * @typedef {object} CalleeState
 * @property {number} received notifications since the last reset
 * @property {number} sum of their sequence numbers
 * @property {number} timed how many came between the first and the last clock reading
 * @property {number} timedMs how long those took
 * @property {number} produced items that the generator has yielded
 * @property {boolean} ended whether the generator was finished or stopped
 */
export function makeCallee() {
  let received = 0
  let sum = 0
  let firstAt = 0
  let stampedAt = 0
  let stamped = 0
  let produced = 0
  let ended = false

  return {
    handlers: {
      async request(args) {
        return makeReply(args)
      },
      async notify(args) {
        if (args.tab.windowId !== 3 || args.tags.length !== 2) throw new Error('the notification was damaged')
        sum += args.seq
        received++
        // The clock is read for one in 32, and the rate is taken between readings.
        if (received === 1) firstAt = performance.now()
        else if ((received & 31) === 0) {
          stampedAt = performance.now()
          stamped = received
        }
      },
      async echo(bytes) {
        if (bytes[0] !== bytes[bytes.length - 1]) throw new Error('the bytes were damaged')
        return bytes
      },
      async *pipe(source) {
        for await (const chunk of source) yield chunk
      },
      async *items({ count }) {
        produced = 0
        ended = false
        try {
          for (let seq = 0; seq < count; seq++) {
            produced++
            yield makeItem(seq)
          }
        } finally {
          ended = true
        }
      },
    },
    reset() {
      received = sum = firstAt = stampedAt = stamped = produced = 0
      ended = false
    },
    state() {
      return { received, sum, timed: Math.max(0, stamped - 1), timedMs: stampedAt - firstAt, produced, ended }
    },
  }
}
