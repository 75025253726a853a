import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { numberedFrame } from '../../src/testing/farEnd.ts'
import { farEnd, remoteEnd, transportSuite } from '../../src/testing/index.ts'
import { stdioTransport } from '../../src/transports/stdio.ts'
import { bundled } from './bundled.ts'

/** A one-way path of the system: where to write and where to read. */
async function path(address: string): Promise<[Socket, Socket]> {
  const server = createServer().listen(address)
  await once(server, 'listening')
  const accepted = once(server, 'connection')
  const writes = connect(address)
  const [reads] = await accepted
  server.close()
  if (!(reads instanceof Socket)) throw new TypeError('no socket')
  return [writes, reads]
}

transportSuite(
  'two streams',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vi-'))
    const [there, far] = await path(join(folder, 'a'))
    const [back, near] = await path(join(folder, 'b'))
    return {
      near: stdioTransport(near, there),
      far: farEnd(stdioTransport(far, back), () => {
        far.destroy()
        back.destroy()
      }),
      dispose: () => {
        for (const socket of [there, far, back, near]) socket.destroy()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  },
  { describe, it },
)

const program = bundled('farStdio.mjs', { beforeAll, afterAll })

function start(env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [program()], { stdio: ['pipe', 'pipe', 'pipe', 'ipc'], env })
  if (!child.stdin || !child.stdout || !child.stderr) throw new TypeError('no streams')
  const far = remoteEnd(
    {
      post: (message) => {
        if (child.connected) child.send(JSON.parse(JSON.stringify(message)))
      },
      listen: (listener) => child.on('message', listener),
    },
    () => child.kill('SIGKILL'),
  )
  const gone = once(child, 'exit')
  return {
    near: stdioTransport(child.stdout, child.stdin),
    far,
    stderr: child.stderr,
    dispose: async () => {
      child.kill('SIGKILL')
      await gone
    },
  }
}

transportSuite('stdin and stdout of a child process', async () => start({ SUITE_PRINTS: 'yes' }), {
  describe,
  it,
})

describe('a link over stdio', () => {
  it('moves what is printed on stdout to stderr', async () => {
    const { near, far, stderr, dispose } = start({ SUITE_PRINTS: 'yes' })
    const printed = text(stderr)
    const closed = new Promise<string>((resolve) => {
      near.attach({ frame: () => {}, drain: () => {}, close: resolve })
    })
    await far.attach()
    await far.close('GOING_AWAY')
    expect(await closed).toBe('TRANSPORT_CLOSED')
    await dispose()
    expect(await printed).toBe('printed by the console\nprinted on stdout\n')
  })

  it.each([
    ['at its beginning', [], ['starting up…\n']],
    ['in two pieces', [], ['hi', '\nstarting up\n']],
    ['between two frames', [numberedFrame(0, 64)], ['starting up…\n']],
    [
      'behind a frame, in its chunk',
      [],
      [Buffer.concat([numberedFrame(0, 64), Buffer.from('starting up\n')])],
    ],
  ])('says what was printed into it %s, and ends', async (_where, frames, pieces) => {
    const input = new PassThrough()
    const strays: string[] = []
    const transport = stdioTransport(input, new PassThrough(), {
      onStray: (bytes) => strays.push(Buffer.from(bytes).toString('utf8')),
    })
    const seen: Uint8Array[] = []
    const closed = new Promise<string>((resolve) => {
      transport.attach({ frame: (bytes) => seen.push(bytes), drain: () => {}, close: resolve, keeps: true })
    })
    for (const piece of [...frames, ...pieces]) input.write(piece)
    expect(await closed).toBe('PROTOCOL_ERROR')
    expect(strays).toEqual([expect.stringMatching(/starting up/)])
  })

  it('does not stop the loop of a child whose supervisor reads nothing', async () => {
    const { near, far, dispose } = start()
    near.pause?.()
    // All of it is taken without anybody reading; a blocking write would hold the answer up for ever.
    void far.attach()
    void far.send(0, 100, 32_000)
    expect(await far.seen()).toMatchObject({ closes: [] })
    await dispose()
  })
})
