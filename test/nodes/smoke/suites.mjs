/** The suite that every transport has to pass, without a test framework, so that any runtime can run it. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import { memoryTransports, openSocket, portTransport, socketTransport } from 'viaduct'
import { farEnd, transportSuite } from 'viaduct/testing'

const CASE_MS = 60_000

/** A server and a client of a Unix socket. */
async function socketPair() {
  const folder = mkdtempSync(join(tmpdir(), 'vn-'))
  const server = createServer()
  server.listen(join(folder, 's'))
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const client = openSocket({ path: join(folder, 's') })
  const [socket] = await accepted
  const dispose = () => {
    client.socket.destroy()
    socket.destroy()
    server.close()
    rmSync(folder, { recursive: true, force: true })
  }
  return { server: socketTransport(socket), client: client.transport, socket, dispose }
}

const PAIRS = {
  memory() {
    const [near, far] = memoryTransports()
    return { near, far: farEnd(far, () => far.close('TRANSPORT_CLOSED')) }
  },
  port() {
    const { port1, port2 } = new MessageChannel()
    const far = farEnd(portTransport(port2), () => port2.close())
    return { near: portTransport(port1), far, dispose: () => port1.close() }
  },
  async 'socket, client'() {
    const { server, client, socket, dispose } = await socketPair()
    return { near: client, far: farEnd(server, () => socket.destroy()), dispose }
  },
  async 'socket, server'() {
    const { server, client, dispose } = await socketPair()
    return { near: server, far: farEnd(client, dispose), dispose }
  },
}

/** Runs all cases one after the other; throws when one failed. */
export async function runSuites() {
  const cases = []
  const framework = {
    describe: (_, body) => body(),
    it: (name, run) => cases.push({ name, run }),
  }
  for (const [name, pair] of Object.entries(PAIRS)) transportSuite(name, pair, framework)
  const each = cases.length / Object.keys(PAIRS).length
  const failed = []
  for (const [at, { name, run }] of cases.entries()) {
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not over after ${CASE_MS} ms`)), CASE_MS)
    })
    try {
      await Promise.race([run(), late])
    } catch (error) {
      failed.push(`${Object.keys(PAIRS)[Math.floor(at / each)]}: ${name}: ${error?.message ?? error}`)
      process.stderr.write(`${failed.at(-1)}\n`)
    }
    clearTimeout(timer)
  }
  process.stdout.write(`${cases.length - failed.length} of ${cases.length}\n`)
  if (failed.length > 0) throw new Error(`${failed.length} of ${cases.length} cases: ${failed[0]}`)
}
