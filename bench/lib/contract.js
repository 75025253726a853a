import { contract, method, stream } from 'viaduct'

/**
 * The workloads as a contract: what an application would write. Only what a workload needs is loaded: bytes have
 * no schema worth a library unless they are to be checked.
 *
 * @param {string} workload @param {boolean} validate
 */
export async function makeContract(workload, validate) {
  if (workload.includes('W4') && !validate) {
    return contract('bench', { echo: method({}), pipe: stream({ upload: anything, item: anything }) })
  }
  const { z } = await import('zod')
  const { Args, Item, Reply } = await import('./schemas.js')
  const Bytes = z.instanceof(Uint8Array)
  return contract('bench', {
    request: method({ input: Args, output: Reply }),
    notify: method({ input: Args }),
    echo: method({ input: Bytes, output: Bytes }),
    pipe: stream({ upload: Bytes, item: Bytes }),
    items: stream({ input: z.object({ count: z.number() }), item: Item }),
  })
}

/** The least Standard Schema: lets everything through. */
const anything = {
  '~standard': {
    version: /** @type {const} */ (1),
    vendor: 'bench',
    /** @param {unknown} value */
    validate: (value) => ({ value }),
  },
}

/**
 * The callee's side.
 *
 * @param {import('viaduct').Peer} peer
 * @param {any} bench of {@link makeContract}
 * @param {import('./contender.js').Handlers} handlers
 * @param {boolean} validate
 */
export function serveBench(peer, bench, handlers, validate) {
  const all = {
    request: handlers.request,
    notify: handlers.notify,
    echo: handlers.echo,
    /** @param {unknown} _input @param {any} call */
    pipe: (_input, call) => handlers.pipe(call.upload),
    items: handlers.items,
  }
  const served = Object.fromEntries(Object.entries(all).filter(([name]) => name in bench))
  return peer.serve(bench, served, { validate })
}

/**
 * The caller's side.
 *
 * @param {import('viaduct').Peer} peer
 * @param {any} bench of {@link makeContract}
 * @param {import('viaduct').Target} [target]
 */
export function benchClient(peer, bench, target) {
  const api = /** @type {any} */ (peer.client(bench, target))
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
