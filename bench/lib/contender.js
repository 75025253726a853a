/**
 * What a contender is. A file in `bench/contenders/` has one of these, or an array of them, as its default
 * export. The file is imported by the runner for its description, so libraries are imported inside the functions.
 *
 * @typedef {object} Contender
 * @property {string} name unique; what tables and files call it
 * @property {'direct' | 'hub' | 'mailbox'} kind a pair of processes, or a pair and a hub between them, or a pair with
 *   storage between them and perhaps a server (`hub`)
 * @property {('W1' | 'W2' | 'W3' | 'W4' | 'W4.10MB' | 'W4.100MB' | 'W6' | 'W7')[]} workloads what it can do; of a `hub`
 *   contender these are measured as W5
 * @property {boolean} [ours] shown apart, and its failure fails the run
 * @property {string} [note] one line under the table: what was done for it, or what it cannot do
 * @property {string} [survives] W6: what a stored message and its acknowledgement survive
 * @property {() => string} [node] the Node that runs it, when not ours
 * @property {boolean} [forksCallee] the caller starts the callee with `env.forkCallee`
 * @property {() => Promise<string | undefined>} [unavailable] why it cannot run here, or nothing
 * @property {(env: Env) => Promise<Open>} [hub] runs in the hub's process
 * @property {(env: Env, handlers: any) => Promise<Open>} serve runs in the callee's process; resolves when calls may come
 * @property {(env: Env) => Promise<Client>} connect runs in the caller's process; resolves when calls may go
 *
 * @typedef {object} Env
 * @property {string} dir a private folder (0700) of this one start, removed afterwards
 * @property {string} socket a path in it for a Unix socket
 * @property {string} workload which workload these processes were started for
 * @property {(options: import('node:child_process').ForkOptions) => import('node:child_process').ChildProcess} forkCallee
 *
 * @typedef {object} Open
 * @property {() => unknown} close
 * @property {number} [pid] of a program that does the work in place of this process (a broker's server)
 *
 * The caller's side. Only what `workloads` needs has to be there.
 * @typedef {object} Client
 * @property {(args: import('./payload.js').Args) => Promise<import('./payload.js').Reply>} request W1, W2
 * @property {(args: import('./payload.js').Args) => void | Promise<void>} notify W3: a promise means "full, wait for this"
 * @property {(bytes: Uint8Array) => Promise<Uint8Array>} echo W4: one message, whole
 * @property {(source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>} pipe W4.10MB, W4.100MB: a byte stream both ways
 * @property {(args: { count: number }) => AsyncIterable<import('./payload.js').Item>} items W7
 * @property {(mail: import('./payload.js').Args) => Promise<unknown>} enqueue W6: settles once stored
 * @property {() => unknown} close
 *
 * The callee's side, the same functions for everybody (`handlers.js`).
 * @typedef {object} Handlers
 * @property {(args: import('./payload.js').Args) => Promise<import('./payload.js').Reply>} request
 * @property {(args: import('./payload.js').Args) => Promise<void>} notify
 * @property {(bytes: Uint8Array) => Promise<Uint8Array>} echo
 * @property {(source: AsyncIterable<Uint8Array>) => AsyncGenerator<Uint8Array>} pipe
 * @property {(args: { count: number }) => AsyncGenerator<import('./payload.js').Item>} items
 *
 * The consumer's side of W6 (`durable.js`), in place of these.
 * @typedef {ReturnType<typeof import('./durable.js').makeConsumer>['handlers']} Consumer
 */

export {}
