import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inheritedLink } from '../../src/host/inheritedLink.ts'
import { bundle, fixture, scratch } from './bundle.ts'

let script: string
let remove: () => void
beforeAll(() => {
  const made = scratch()
  remove = made.remove
  script = bundle('inheritor.mjs', made.path)
})
afterAll(() => remove())

describe('an inherited link', () => {
  it('is not there for a process that no supervisor started', () => {
    expect(inheritedLink({})).toBeUndefined()
  })

  it('is taken once, and hidden from what the process starts', async () => {
    const env = { ...process.env, VIADUCT_FD: '3', VIADUCT_APP: 'reader', VIADUCT_ID: 'ai-1' }
    const child = spawn(process.execPath, [script], { env, stdio: ['ignore', 'inherit', 'inherit', 'pipe'] })
    const socket = child.stdio[3]
    if (!(socket instanceof Socket)) throw new Error('no socket')
    socket.write('hello')
    const said = text(socket)
    const [code] = await once(child, 'exit')
    expect(JSON.parse(await said)).toEqual({
      heard: 'hello',
      app: 'reader',
      id: 'ai-1',
      again: 'none',
      left: ['VIADUCT_APP', 'VIADUCT_ID'],
    })
    expect(code).toBe(0)
  })

  it.each(['', 'three', '-1', '3.5', '99999'])('refuses the descriptor %j', (number) => {
    expect(() => inheritedLink({ VIADUCT_FD: number })).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION', reason: 'BAD_LINK_DESCRIPTOR' }),
    )
  })

  it('refuses a descriptor of a file', () => {
    const file = openSync(fixture('child.mjs'), 'r')
    try {
      expect(() => inheritedLink({ VIADUCT_FD: String(file) })).toThrow(/is no socket/)
    } finally {
      closeSync(file)
    }
  })
})
