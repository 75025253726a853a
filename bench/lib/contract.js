import { contract, method, stream } from 'viaduct'
import { z } from 'zod'
import { Args, Item, Reply } from './schemas.js'

const Bytes = z.instanceof(Uint8Array)

/** The workloads as a contract: what an application would write. */
export const bench = contract('bench', {
  request: method({ input: Args, output: Reply }),
  notify: method({ input: Args }),
  echo: method({ input: Bytes, output: Bytes }),
  pipe: stream({ upload: Bytes, item: Bytes }),
  items: stream({ input: z.object({ count: z.number() }), item: Item }),
})

/**
 * The callee's side.
 *
 * @param {import('viaduct').Peer} peer
 * @param {import('./contender.js').Handlers} handlers
 * @param {boolean} validate
 */
export function serveBench(peer, handlers, validate) {
  return peer.serve(
    bench,
    {
      request: (args) => handlers.request(args),
      notify: (args) => handlers.notify(args),
      echo: (bytes) => handlers.echo(bytes),
      pipe: (_input, call) => handlers.pipe(call.upload),
      items: (args) => handlers.items(args),
    },
    { validate },
  )
}

/**
 * The caller's side.
 *
 * @param {import('viaduct').Peer} peer
 * @param {import('viaduct').Target} [target]
 */
export function benchClient(peer, target) {
  const api = peer.client(bench, target)
  const caller = peer.to(target)
  return {
    request: api.request,
    echo: api.echo,
    /** @param {AsyncIterable<Uint8Array>} source */
    pipe: (source) => api.pipe(undefined, { upload: source, timeoutMs: 60_000 }),
    items: api.items,
    /** @param {object} args */
    notify(args) {
      if (caller.notify(bench.notify, args)) return
      return again(peer, () => caller.notify(bench.notify, args))
    },
  }
}

/** @param {import('viaduct').Peer} peer @param {() => boolean} send */
async function again(peer, send) {
  do await peer.drained()
  while (!send())
}
