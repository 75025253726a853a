/**
 * Faults that the suite has to find. Each replaces one text of one file, which must be there exactly once, and names the
 * tests of which at least one must fail then.
 */
export const mutants = [
  {
    name: 'what a full transport says is ignored',
    file: 'src/transports/socket.ts',
    from: 'return !full\n',
    to: 'return true\n',
    tests: ['test/transports/socket.test.ts'],
  },
  {
    name: 'a process stays awake although it has found that useless',
    file: 'src/transports/linger.ts',
    from: 'if (this.lingers && this.#host.now()',
    to: 'if (this.#host.now()',
    tests: ['test/transports/linger.test.ts'],
  },
  {
    name: 'a table in which messages come and go is never left',
    file: 'src/mailbox/turnover.ts',
    from: 'this.#entries = new Map(this.#entries)',
    to: '',
    tests: ['test/mailbox/turnover.test.ts'],
  },
  {
    name: 'names are keys of a plain object',
    file: 'src/contract/dispatcher.ts',
    from: 'new Map<string, (...args: Arguments) => unknown>()',
    to: `(() => {
    const all: Record<string, (...args: Arguments) => unknown> = {}
    return {
      get: (name: string) => all[name],
      has: (name: string) => name in all,
      set: (name: string, handler: (...args: Arguments) => unknown) => void (all[name] = handler),
      delete: (name: string) => delete all[name],
      keys: () => Object.keys(all),
    }
  })()`,
    tests: ['test/faces/patterns', 'test/contract'],
  },
  {
    name: 'a claimed source is believed',
    file: 'src/faces/router/router.ts',
    from: 'if (source !== call.peer.id) throw foreign(source, call.peer.id)',
    to: '',
    tests: ['test/faces/router'],
  },
  {
    name: 'a cut authentication tag will do',
    file: 'src/host/crypto.ts',
    from: `    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
    try {
      decipher.setAAD(covered)
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES))`,
    to: `    const decipher = createDecipheriv(CIPHER, key, nonce)
    try {
      decipher.setAAD(covered)
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES).subarray(0, 4))`,
    tests: ['test/codecs/flips.test.ts', 'test/codecs/primitives.test.ts'],
  },
  {
    name: 'a cancel frees the slot at once',
    file: 'src/hub/switch.ts',
    from: '      forwarded.states[slot] = STATE.cancelled\n',
    to: '      this.#freed(callee, slot)\n',
    tests: ['test/hub/switch.test.ts', 'test/hub/model.test.ts'],
  },
  {
    name: 'a call is retried that may have run',
    file: 'src/policies/retry.ts',
    from: "return error.fate === 'not-sent' || idempotent",
    to: 'return true',
    tests: ['test/policies/retry.test.ts'],
  },
  {
    name: 'anybody may answer a call',
    file: 'src/hub/switch.ts',
    from: `    const table = from.forwarded
    const far = table.find(readU32(bytes, at + AT.id))
    if (far < 0) {
      from.late++
      return
    }
    const to = table.callers[far] as Port`,
    to: `    let table = from.forwarded
    let far = table.find(readU32(bytes, at + AT.id))
    for (const other of far < 0 ? this.ports : []) {
      far = other.forwarded.find(readU32(bytes, at + AT.id))
      table = other.forwarded
      if (far >= 0) break
    }
    if (far < 0) {
      from.late++
      return
    }
    const to = table.callers[far] as Port`,
    tests: ['test/hub/forgery.test.ts', 'test/hub/model.test.ts'],
  },
  {
    name: 'a new file’s name is not synced',
    file: 'src/mailbox/appendLog.ts',
    from: 'if (this.#syncs) await this.#files.syncFolder(this.#folder)',
    to: '',
    tests: ['test/mailbox/appendLog.test.ts'],
  },
  {
    name: 'a message is removed before it is known to be done',
    file: 'src/mailbox/deliveries.ts',
    from: `    // The journal gives`,
    to: `    settled.catch(() => {})
    if (tracked.starts > 0) return this.#succeededForGood(tracked)
    // The journal gives`,
    tests: ['test/mailbox/receiver.test.ts'],
  },
  {
    name: 'the folder of messages is watched and never scanned',
    file: 'src/mailbox/folderFinder.ts',
    from: '      if (!this.#scan.isUnchanged()) await this.#readFolder(scan)\n',
    to: '      if (scan === 1 && !this.#scan.isUnchanged()) await this.#readFolder(scan)\n',
    tests: ['test/mailbox/folderStore.test.ts'],
  },
  {
    name: 'a start is counted after it has happened',
    file: 'src/mailbox/startPages.ts',
    from: '    this.#file.writeNow(buffer.subarray(0, at), page * PAGE_BYTES)\n',
    to: `    const late = Buffer.from(buffer.subarray(0, at))
    setImmediate(() => this.#file.writeNow(late, page * PAGE_BYTES))\n`,
    tests: ['test/mailbox/journalKill.test.ts'],
  },
  {
    name: 'what was to follow the one that ended its process is charged as well',
    file: 'src/mailbox/journal.ts',
    from: '      if (!isBegun) this.#acquit(page, starts)\n',
    to: '',
    tests: ['test/mailbox/journalKill.test.ts'],
  },
  {
    name: 'an acknowledgement counts whoever made it',
    file: 'src/mailbox/ackWatch.ts',
    from: `        refused = refusalOf(status, owner)
        return refused === ''`,
    to: "        return refusalOf(status, owner) !== 'whoever'",
    tests: ['test/mailbox/folderStore.test.ts'],
  },
  {
    name: 'suspects run beside others',
    file: 'src/mailbox/deliveries.ts',
    from: '} else if (journal.suspects.has(arrival.id)) {',
    to: "} else if (journal.suspects.has('')) {",
    tests: ['test/mailbox/receiver.test.ts'],
  },
  {
    name: 'the name of a dead letter is not synced',
    file: 'src/mailbox/deadLetterFolder.ts',
    from: "join(this.path, file), bytes, 'synced')\n    await this.sync()",
    to: "join(this.path, file), bytes, 'synced')",
    tests: ['test/mailbox/deadLetters.test.ts'],
  },
  {
    name: 'what a dead sender’s journal holds is not recovered',
    file: 'src/mailbox/senderJournals.ts',
    from: 'if (hasEnded && !progress.recovered) {',
    to: 'if (hasEnded && progress.recovered) {',
    tests: ['test/mailbox/folderStore.test.ts'],
  },
  {
    name: 'the receiver’s journal forgets when it begins a new file',
    file: 'src/mailbox/journal.ts',
    from: 'return [...(this.#headHasIds ? this.#state.endedSnapshot() : []), ...this.#state.snapshot()]',
    to: 'return []',
    tests: ['test/mailbox/journal.test.ts'],
  },
  {
    name: 'an id in a slot is any id of that slot',
    file: 'src/page/exchanges.ts',
    from: 'return entry?.id === id ? entry : undefined',
    to: 'return entry',
    tests: ['test/core/hostile.test.ts'],
  },
  {
    name: "the idle bound goes on while a page's reader rests",
    file: 'src/page/exchanges.ts',
    from: 'exchange.idleAt <= now && exchange.items?.waiting()',
    to: 'exchange.idleAt < 0',
    tests: ['test/core/idle.test.ts'],
  },
  {
    name: "who waits for a page's calls to end is not told of its link's end",
    file: 'src/page/exchanges.ts',
    from: 'if (isSo() || link.closed()) {',
    to: 'if (isSo()) {',
    tests: ['test/core/withdraw.test.ts', 'test/core/hostile.test.ts'],
  },
  {
    name: "a page's slot is given back once more",
    file: 'src/page/calls.ts',
    from: 'if (exchanges.end(id, FLAG.ANSWER)) giveBack(id)',
    to: `exchanges.end(id, FLAG.ANSWER)
      giveBack(id)`,
    tests: ['test/core/tooLarge.test.ts'],
  },
  {
    name: "a call joins a page's link after its end",
    file: 'src/page/calls.ts',
    from: "if (link.closed()) abort('LINK_LOST')",
    to: '',
    tests: ['test/core/hostile.test.ts'],
  },
  {
    name: 'a page that drains takes calls',
    file: 'src/page/answers.ts',
    from: "(draining && 'DRAINING') ||",
    to: "(draining && !draining && 'DRAINING') ||",
    tests: [
      'test/core/cancel.test.ts',
      'test/core/settle.test.ts',
      'test/core/hostile.test.ts',
      'test/wire/vectorsTalks.test.ts',
    ],
  },
  {
    name: "a page's withdrawal leaves callers of handlers that do not end",
    file: 'src/page/answers.ts',
    from: "if (stop || reason === 'WITHDRAWN') fail(aborted)",
    to: 'if (stop) fail(aborted)',
    tests: ['test/core/withdraw.test.ts'],
  },
  {
    name: "parts of an item are granted to a page's reader that rests",
    file: 'src/page/items.ts',
    from: 'if (queue.length > 0) unfinished += bytes',
    to: 'if (queue.length < 0) unfinished += bytes',
    tests: ['test/core/flow.test.ts', 'test/core/assemblyMemory.test.ts'],
  },
  {
    name: 'a page puts together what is over its bounds',
    file: 'src/page/peer.ts',
    from: 'held + bytes > limits.queueBytes',
    to: 'held < 0',
    tests: ['test/core/hostile.test.ts', 'test/core/assemblyMemory.test.ts', 'test/core/limits.test.ts'],
  },
  {
    name: 'a message for a page ends before all of it has come',
    file: 'src/page/link.ts',
    from: '(isLast && missing > 0)',
    to: '(isLast && missing < 0)',
    tests: ['test/core/hostile.test.ts'],
  },
  {
    name: "a page's low lane goes last for ever",
    file: 'src/page/outbox.ts',
    from: 'lowDebt < most ? lanes',
    to: 'lowDebt < Infinity ? lanes',
    tests: [
      'test/core/flow.test.ts',
      'test/core/outbox.property.test.ts',
      'test/core/overtake.test.ts',
      'test/wire/vectorsTalks.test.ts',
    ],
  },
  {
    name: "a page's items leave without credit",
    file: 'src/page/outbox.ts',
    from: 'if (flow.credit < spent) continue',
    to: '',
    tests: ['test/core/flow.test.ts'],
  },
  {
    name: 'a page drops the marks that it cannot carry',
    file: 'src/page/marks.ts',
    from: 'if (idempotencyKey === undefined) return undefined',
    to: "if (idempotencyKey !== '') return undefined",
    tests: ['test/page/marks.test.ts'],
  },
  {
    name: 'a page reads values nested without end',
    file: 'src/page/decode.ts',
    from: 'depth > limits.maxDepth || ',
    to: '',
    tests: ['test/page/body.test.ts'],
  },
]
