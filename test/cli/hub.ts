import { z } from 'zod'
import { contract, Hub, join, manifest, method, type Peer, stream, topic } from '../../src/index.ts'

export const pages = contract('pages', {
  analyze: method({
    input: z.object({ n: z.number() }),
    output: z.any(),
    errors: { TooLong: z.object({ max: z.number() }) },
  }),
  echo: method({ input: z.any(), output: z.any() }),
  fail: method({ input: z.object({ how: z.string() }), output: z.any() }),
  lines: stream({ input: z.object({ count: z.number() }), item: z.any(), output: z.number() }),
  endless: stream({ item: z.string() }),
  broken: stream({ item: z.number() }),
  never: method({ output: z.any() }),
  secret: method({ output: z.any() }),
  opened: topic({ data: z.object({ n: z.number() }) }),
})

/** Names that would move the cursor, turn the text around, or forge a line. */
export const HOSTILE_TYPE = 'evil\u001b[2J\u202etxt\u009b31m'
export const HOSTILE_METHOD = 'pages.\u001b]0;owned\u0007\nforged line'

export interface Desk {
  readonly hub: Hub
  readonly ai: Peer
  /** Settles when the handler of `endless` is told to stop. */
  readonly stopped: () => Promise<void>
  close(): Promise<void>
}

/** A hub with a peer that serves `pages` and one with hostile names. */
export async function openDesk(app: string): Promise<Desk> {
  const hub = await Hub.listen({
    app,
    manifest: manifest({
      main: { call: ['*'], publish: ['*'], subscribe: ['*'] },
      ai: { zone: 'semi' },
      cli: {
        call: ['analyze', 'echo', 'fail', 'lines', 'endless', 'broken', 'never', 'nothing', 'analyse'].map(
          (name) => `pages.${name}`,
        ),
      },
    }),
    log: () => {},
  })
  await hub.admit('ai-1', { type: 'ai' })
  await hub.admit('odd', { type: HOSTILE_TYPE })
  const ai = await join({ app, id: 'ai-1', ready: false })
  let stop = (): void => {}
  let stopped = new Promise<void>((resolve) => {
    stop = resolve
  })
  ai.serve(pages, {
    analyze({ n }, call) {
      if (n > 100) throw call.error('TooLong', { max: 100 })
      return {
        n,
        big: 12n,
        when: new Date(0),
        tags: new Map([['a', 1]]),
        some: new Set([1]),
        data: new Uint8Array([1, 2]),
      }
    },
    echo: (input) => input,
    fail({ how }) {
      throw new Error(how)
    },
    async *lines({ count }) {
      for (let number = 0; number < count; number++) yield { number }
      return count
    },
    async *endless(_, call) {
      yield 'first'
      await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve()))
      stop()
    },
    async *broken() {
      yield 1
      yield 2
      throw new Error('the disk is gone')
    },
    never: () => new Promise(() => {}),
    secret: () => 'secret',
  })
  await ai.ready()
  const odd = await join({ app, id: 'odd', ready: false })
  odd.handle(HOSTILE_METHOD, () => 1)
  await odd.ready()
  return {
    hub,
    ai,
    stopped: async () => {
      await stopped
      stopped = new Promise((resolve) => {
        stop = resolve
      })
    },
    close: () => hub.close(),
  }
}
