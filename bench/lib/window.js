/**
 * Backpressure for a library that only says, by a promise, when a message was written: at most `most` may be under
 * way, and whoever goes beyond waits for all of them.
 * @param {number} most
 */
export function makeWindow(most) {
  let underWay = 0
  /** @type {(() => void)[]} */
  let waiting = []
  function settled() {
    if (--underWay > 0) return
    const released = waiting
    waiting = []
    for (const release of released) release()
  }
  return {
    /** @param {Promise<unknown>} written @returns {void | Promise<void>} a promise when full */
    add(written) {
      underWay++
      written.then(settled)
      if (underWay >= most) return new Promise((resolve) => waiting.push(resolve))
    },
  }
}
