/** Every bit of every frame that a protected call sends, flipped once: no other value is ever taken for the sent one. */
import { describe, expect, it } from 'vitest'
import { codecs, keyring } from '../../src/codecs/index.ts'
import {
  type CallOptions,
  memoryTransports,
  nodePrimitives,
  type Peer,
  peerOver,
  type Transport,
} from '../../src/index.ts'
import * as KIND from '../../src/wire/kind.ts'
import { type Api, CONTRACTS, collect, each, handlers } from './rig.ts'

const primitives = nodePrimitives
const SEEDS = { main: new Uint8Array(32).fill(1), ai: new Uint8Array(32).fill(2) }
const SECRET = 'the words that are sealed'
const TIMEOUT_MS = 12

/** Flips one bit of the first frame of a kind that comes by while it is armed. */
class Flipper {
  #armed: { readonly kind: number; readonly bit: number } | undefined
  /** Bits of the last frame of each kind that went by whole. */
  readonly bits = new Map<number, number>()
  /** Whether the armed bit was flipped. */
  flipped = false

  arm(kind: number, bit: number): void {
    this.flipped = false
    this.#armed = { kind, bit }
  }

  over(transport: Transport): Transport {
    const { close, attach } = transport
    return {
      send: (frames, tail) => transport.send(this.#pass(frames), tail && this.#pass(tail)),
      close: close.bind(transport),
      attach: attach.bind(transport),
    }
  }

  #pass(frames: Uint8Array): Uint8Array {
    const copy = frames.slice()
    const view = new DataView(copy.buffer)
    for (let at = 0; at < copy.length; ) {
      const bytes = view.getUint32(at, true)
      const kind = copy[at + 4] ?? 0
      this.bits.set(kind, 8 * bytes)
      const armed = this.#armed
      if (armed?.kind === kind && armed.bit < 8 * bytes) {
        this.#armed = undefined
        this.flipped = true
        const place = at + (armed.bit >> 3)
        copy[place] = (copy[place] ?? 0) ^ (1 << (armed.bit & 7))
        break
      }
      at += bytes
    }
    return copy
  }
}

/** What was taken for true: at the handlers, and at the caller. */
interface Taken {
  readonly inputs: string[]
  readonly uploads: string[]
}

async function link(contract: (typeof CONTRACTS)[number][1]) {
  const [left, right] = memoryTransports()
  const up = new Flipper()
  const down = new Flipper()
  const main = peerOver(up.over(left))
  const ai = peerOver(down.over(right))
  const keys = {
    main: keyring({ primitives, id: 'main', seed: SEEDS.main }),
    ai: keyring({ primitives, id: 'ai', seed: SEEDS.ai }),
  }
  keys.main.pin('ai', await keys.ai.publicKey)
  keys.ai.pin('main', await keys.main.publicKey)
  const taken: Taken = { inputs: [], uploads: [] }
  ai.serve(
    contract,
    {
      ...handlers,
      also: (input) => {
        taken.inputs.push(input)
        return input
      },
      join: async (_, call) => {
        for await (const item of call.upload) taken.uploads.push(item)
        return taken.uploads.join(' ')
      },
    },
    { policies: [codecs({ primitives, keys: keys.ai })] },
  )
  const api: Api = main.client(contract, undefined, { policies: [codecs({ primitives, keys: keys.main })] })
  // So that what follows is of a session, and of known routes.
  await api.also(SECRET)
  await collect(api.list('a'))
  await api.join(undefined, { upload: each('a') })
  taken.inputs.length = taken.uploads.length = 0
  return { main, ai, up, down, api, taken }
}
type Link = Awaited<ReturnType<typeof link>>

const closed = (peer: Peer): boolean => peer.isClosed
const options: CallOptions = { timeoutMs: TIMEOUT_MS, totalTimeoutMs: TIMEOUT_MS }

interface Way {
  readonly name: string
  readonly kind: number
  readonly side: 'up' | 'down'
  /** Resolves with what the caller took for true; rejects when it took nothing. */
  readonly run: (link: Link) => Promise<unknown>
  /** What it may take, and handlers. */
  readonly right: unknown
}

const refused = { error: expect.objectContaining({ code: 'FAILED_PRECONDITION', reason: 'Refused' }) }
const WAYS: readonly Way[] = [
  { name: 'a call', kind: KIND.CALL, side: 'up', run: ({ api }) => api.also(SECRET, options), right: SECRET },
  {
    name: 'an answer',
    kind: KIND.END,
    side: 'down',
    run: ({ api }) => api.also(SECRET, options),
    right: SECRET,
  },
  {
    name: 'an item',
    kind: KIND.ITEM,
    side: 'down',
    run: ({ api }) => collect(api.list(SECRET, options)),
    right: SECRET.split(' '),
  },
  {
    name: 'an item of an upload',
    kind: KIND.ITEM,
    side: 'up',
    run: ({ api }) => api.join(undefined, { ...options, upload: each(SECRET) }),
    right: SECRET,
  },
  {
    name: 'an error',
    kind: KIND.ERROR,
    side: 'down',
    run: async ({ api }) => {
      const error: unknown = await api.echo('refuse', options).catch((thrown: unknown) => thrown)
      // Errors of links have a fate: they are nobody's answer.
      if (typeof error === 'object' && error !== null && 'fate' in error && error.fate !== undefined)
        throw error
      return { error }
    },
    right: refused,
  },
]

describe.each(CONTRACTS.slice(0, 2))('%s', (_, contract) => {
  it.each(WAYS)('$name', async ({ kind, side, run, right }) => {
    let rig = await link(contract)
    await run(rig).catch(() => {})
    rig.taken.inputs.length = rig.taken.uploads.length = 0
    const bits = rig[side].bits.get(kind) ?? 0
    expect(bits).toBeGreaterThan(800)
    let same = 0
    let refusedBits = 0
    for (let bit = 0; bit < bits; bit++) {
      let outcome: { readonly took: unknown } | undefined
      // Once more where the bit before has ended the link, or the time was over before the frame was sent.
      for (let attempt = 0; attempt === 0 || (!rig[side].flipped && attempt < 5); attempt++) {
        if (attempt > 0) rig = await link(contract)
        rig[side].arm(kind, bit)
        outcome = await run(rig).then(
          (took) => ({ took }),
          () => undefined,
        )
      }
      expect(rig[side].flipped, `bit ${bit}`).toBe(true)
      if (outcome) {
        same++
        expect(outcome.took, `bit ${bit}`).toEqual(right)
      } else refusedBits++
      for (const input of rig.taken.inputs) expect(input, `bit ${bit}`).toBe(SECRET)
      for (const item of rig.taken.uploads) expect(item, `bit ${bit}`).toBe(SECRET)
      rig.taken.inputs.length = rig.taken.uploads.length = 0
      if (closed(rig.main) || closed(rig.ai)) rig = await link(contract)
    }
    // Header, padding, the session (the ends agree anew), and the text outside an error; all else was refused.
    expect(same).toBeLessThan(8 * (32 + 8 + 16 + (kind === KIND.ERROR ? 50 : 0)))
    expect(refusedBits).toBe(bits - same)
    rig.main.close()
  })
})
