import { once } from 'node:events'
import { readAll } from '../lib/frames.js'
import { missing } from '../lib/optional.js'

/**
 * @grpc/grpc-js over a Unix socket, its service described by hand: JSON for objects, bytes as they are. One-way is
 * a client stream, because gRPC has no notification.
 */

/** @param {object} value */
const toJson = (value) => Buffer.from(JSON.stringify(value))
/** @param {Buffer} bytes */
const fromJson = (bytes) => JSON.parse(bytes.toString())
/** @param {Uint8Array} bytes */
const asBuffer = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
/** @param {Buffer} bytes */
const asIs = (bytes) => bytes

/** @param {string} name @param {boolean} requestStream @param {boolean} responseStream @param {boolean} binary */
function method(name, requestStream, responseStream, binary) {
  return {
    path: `/bench.Bench/${name}`,
    requestStream,
    responseStream,
    requestSerialize: binary ? asBuffer : toJson,
    requestDeserialize: binary ? asIs : fromJson,
    responseSerialize: binary ? asBuffer : toJson,
    responseDeserialize: binary ? asIs : fromJson,
  }
}

const SERVICE = {
  request: method('Request', false, false, false),
  notify: method('Notify', true, false, false),
  echo: method('Echo', false, false, true),
  pipe: method('Pipe', true, true, true),
  items: method('Items', false, true, false),
}

const OPTIONS = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }

/** @param {any} call @param {AsyncIterable<unknown>} source */
async function writeAll(call, source) {
  let wake = () => {}
  // Whoever was cancelled while full hears no drain.
  call.on('drain', () => wake())
  call.on('cancelled', () => wake())
  for await (const value of source) {
    if (call.cancelled) return
    if (!call.write(value)) {
      await new Promise((resolve) => {
        wake = () => resolve(undefined)
      })
    }
  }
  call.end()
}

/** @type {import('../lib/contender.js').Contender} */
export default {
  name: 'grpc-js',
  kind: 'direct',
  workloads: ['W1', 'W2', 'W3', 'W4', 'W4.10MB', 'W4.100MB', 'W7'],
  note: 'one-way as a client stream; leaving the loop over a call does not cancel it',
  unavailable: () => missing('@grpc/grpc-js'),
  async serve(env, handlers) {
    const grpc = await import('@grpc/grpc-js')
    const server = new grpc.Server(OPTIONS)
    /** @param {(value: any) => Promise<any>} handler */
    const unary = (handler) => (/** @type {any} */ call, /** @type {any} */ done) => {
      handler(call.request).then((reply) => done(null, reply), done)
    }
    server.addService(/** @type {any} */ (SERVICE), {
      request: unary(handlers.request),
      echo: unary(handlers.echo),
      /** @param {any} call @param {any} done */
      notify(call, done) {
        call.on('data', handlers.notify)
        call.on('end', () => done(null, {}))
      },
      /** @param {any} call */
      pipe: (call) => writeAll(call, handlers.pipe(readAll(call))),
      /** @param {any} call */
      items: (call) => writeAll(call, handlers.items(call.request)),
    })
    await new Promise((resolve, reject) =>
      server.bindAsync(`unix:${env.socket}`, grpc.ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      ),
    )
    return { close: () => server.forceShutdown() }
  },
  async connect(env) {
    const grpc = await import('@grpc/grpc-js')
    const Bench = /** @type {any} */ (
      grpc.makeGenericClientConstructor(/** @type {any} */ (SERVICE), 'Bench')
    )
    const client = new Bench(`unix:${env.socket}`, grpc.credentials.createInsecure(), OPTIONS)
    await new Promise((resolve, reject) =>
      client.waitForReady(Date.now() + 5000, (/** @type {Error | undefined} */ error) =>
        error ? reject(error) : resolve(undefined),
      ),
    )
    /** @param {string} name */
    const unary = (name) => (/** @type {unknown} */ value) =>
      new Promise((resolve, reject) =>
        client[name](value, (/** @type {Error | null} */ error, /** @type {unknown} */ reply) =>
          error ? reject(error) : resolve(reply),
        ),
      )
    /** @type {any} */
    let oneWay
    return /** @type {any} */ ({
      request: unary('request'),
      echo: unary('echo'),
      /** @param {object} args */
      notify(args) {
        oneWay ??= client.notify(() => {}).on('error', () => {})
        if (!oneWay.write(args)) return once(oneWay, 'drain')
      },
      /** @param {AsyncIterable<Uint8Array>} source */
      async *pipe(source) {
        const call = client.pipe()
        const writing = writeAll(call, source)
        yield* readAll(call)
        await writing
      },
      /** @param {{ count: number }} args */
      items: (args) => client.items(args),
      close: () => client.close(),
    })
  },
}
