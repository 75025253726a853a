import { once } from 'node:events'
import { connect, createServer, Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { EVIDENCE_MS, type EvidenceSource, evidenceText, takeEvidence } from '../../src/host/evidence.ts'
import { InspectorPorts } from '../../src/host/inspectorPorts.ts'
import { hasConnectionAt } from '../../src/host/processInfo.ts'
import { VirtualTime } from './virtualTime.ts'

/** A thread that answers each question with the next of these, and then no more. */
function thread(answers: string[]): Duplex & { asked: number } {
  const stream = Object.assign(
    new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        stream.asked += chunk.length
        const answer = answers.shift()
        if (answer !== undefined) stream.push(answer)
        done()
      },
    }),
    { asked: 0 },
  )
  return stream
}

const time = new VirtualTime()
async function taken(source: Partial<EvidenceSource>) {
  const taking = takeEvidence({
    clock: time,
    pid: process.pid,
    stack: undefined,
    printStacks: undefined,
    stderr: () => '',
    ...source,
  })
  const from = time.now()
  let until = Number.NaN
  void taking.then(() => {
    until = time.now()
  })
  for (let step = 0; step < 2 * EVIDENCE_MS && Number.isNaN(until); step += 20) {
    await time.pass(20)
    await new Promise(setImmediate)
  }
  return { ...(await taking), tookMs: until - from }
}

const frames = (...names: string[]) =>
  `${JSON.stringify(names.map((name, at) => ({ name, file: 'a.js', line: at + 1 })))}\n`

describe('the evidence', () => {
  it('counts in how many samples each function of the last stack was found', async () => {
    const stack = thread([frames('inner', 'outer'), frames('other', 'outer'), frames('inner', 'outer')])
    const found = await taken({ stack })
    expect(found.samples).toBe(3)
    expect(found.stack).toEqual([
      { name: 'inner', file: 'a.js', line: 1, samples: 2 },
      { name: 'outer', file: 'a.js', line: 2, samples: 3 },
    ])
    expect(evidenceText(found)).toMatch(
      /its loop stood in inner \(a\.js:1\) < outer \(a\.js:2\) \(3 samples\)/,
    )
  })

  it('takes no longer than its time when nothing answers', async () => {
    const stack = thread([])
    const found = await taken({ stack })
    expect(found).toMatchObject({ stack: [], samples: 0 })
    expect(found.tookMs).toBeLessThanOrEqual(EVIDENCE_MS)
    expect(stack.asked).toBe(5)
    expect(stack.listenerCount('data')).toBe(0)
  })

  it('is bounded, whatever is answered', async () => {
    const long = JSON.stringify(
      Array.from({ length: 30 }, () => ({ name: 'n'.repeat(900), file: 'f'.repeat(900), line: 1 })),
    )
    const rest = ['no JSON\n', '{"name":1}\n', `${'['.repeat(70_000)}\n`, `${'x'.repeat(200_000)}`]
    const found = await taken({ stack: thread([`${long}\n`, ...rest]), stderr: () => 's'.repeat(9_000) })
    expect(found.samples).toBe(1)
    expect(found.stack.length).toBe(16)
    expect(found.stack[0]).toMatchObject({ name: 'n'.repeat(200), file: 'f'.repeat(300) })
    expect(found.stderr.length).toBe(2_048)
  })

  it('of a process that has gone says that nothing is known', async () => {
    const found = await taken({ pid: 2 ** 22 + 1 })
    expect(found).toMatchObject({ state: 'unknown', cpuMs: undefined, stack: [] })
    expect(evidenceText(found)).toBe('unknown')
  })
})

describe.skipIf(process.platform !== 'linux')('a debugger', () => {
  it('holds a process when it is connected to a port that the process has announced, and no sooner', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const ports = new InspectorPorts()
    const accepted = once(server, 'connection')
    const client = connect(port, '127.0.0.1')
    const [far] = await accepted
    if (!(far instanceof Socket)) throw new TypeError('no socket')
    expect(ports.holds(process.pid)).toBe(false)
    // In pieces, as a pipe may bring it.
    ports.read(Buffer.from('hello\nDebugger listening on ws://127.0.'))
    ports.read(Buffer.from(`0.1:${port}/2b4f\nFor help, see: https://nodejs.org\n`))
    expect(ports.holds(process.pid)).toBe(true)
    expect(ports.holds(process.ppid)).toBe(false)
    expect(hasConnectionAt(process.pid, new Set([port + 1]))).toBe(false)
    far.destroy()
    client.destroy()
    while (ports.holds(process.pid)) await new Promise(setImmediate)
    server.close()
  })
})
