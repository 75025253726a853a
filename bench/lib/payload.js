/**
 * What every contender carries. A request is about 250 bytes as JSON once its id and method stand around the
 * arguments, a reply about 90, an item of a stream about 100. Each call makes a fresh object, because a
 * contender may keep what it was given until it writes.
 *
 * @typedef {ReturnType<typeof makeArgs>} Args
 * @typedef {ReturnType<typeof makeReply>} Reply
 * @typedef {ReturnType<typeof makeItem>} Item
 */

export const MIB = 1024 * 1024
export const CHUNK_BYTES = 64 * 1024

const SECTIONS = ['transport', 'contract', 'mailbox', 'inspector', 'recorder', 'policies', 'hub', 'codecs']
const TAGS = ['guide', 'network', 'draft', 'review', 'public', 'internal', 'archive', 'pinned']

/** @param {number} seq */
export function makeArgs(seq) {
  const section = SECTIONS[seq & 7]
  return {
    seq,
    url: `https://docs.example.org/guides/${section}?page=${seq & 1023}`,
    title: 'Streams and backpressure in practice',
    tab: { id: seq & 63, windowId: 3, incognito: false },
    tags: [TAGS[seq & 7], TAGS[(seq >> 3) & 7]],
    score: 0.731,
    sentAt: 1_719_422_000_123 + seq,
  }
}

/** Reads the arguments all the way down, so that nobody gets away with not decoding them.
 * @param {Args} args */
export function makeReply(args) {
  return {
    seq: args.seq,
    category: args.tags[0],
    confidence: args.score,
    words: args.title.length + args.url.length,
    tab: args.tab.id,
    ok: !args.tab.incognito,
  }
}

/** @param {number} seq */
export function makeItem(seq) {
  return { seq, path: 'src/core/exchange.ts', line: 'const entry = table.get(slot)', column: 17, ok: true }
}
