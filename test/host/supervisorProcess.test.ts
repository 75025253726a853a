import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { isRunning, readProcess } from '../../src/host/processInfo.ts'
import { bundle, fixture, scratch } from './bundle.ts'

type Word = [word: string, argument?: number, reason?: string]

let script: string
let removeScript: () => void
beforeAll(() => {
  const made = scratch()
  removeScript = made.remove
  script = bundle('supervise.mjs', made.path)
})
afterAll(() => removeScript())

/** A supervisor in a process of its own, with one child. */
class Tree {
  readonly process: ChildProcessWithoutNullStreams
  readonly words: Word[] = []
  readonly #lines: AsyncIterator<string>

  constructor(mode: string, everyMs: number) {
    this.process = spawn(process.execPath, [script, fixture('child.mjs'), mode, String(everyMs)])
    this.#lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]()
  }

  /** Reads on until that word comes. */
  async until(word: string): Promise<Word> {
    for (;;) {
      const { value, done } = await this.#lines.next()
      if (done) throw new Error(`it ended before ${word}: ${JSON.stringify(this.words)}`)
      const said: Word = JSON.parse(value)
      this.words.push(said)
      if (said[0] === word) return said
    }
  }

  async exit(): Promise<[number | null, NodeJS.Signals | null]> {
    const { exitCode, signalCode } = this.process
    if (exitCode === null && signalCode === null) await once(this.process, 'exit')
    return [this.process.exitCode, this.process.signalCode]
  }
}

let trees: { tree: Tree; pid: number }[] = []
afterEach(async () => {
  for (const { tree, pid } of trees) {
    tree.process.kill('SIGKILL')
    await tree.exit()
    if (isRunning(pid)) process.kill(pid, 'SIGKILL')
  }
  trees = []
})

async function plant(mode = 'good', everyMs = 50): Promise<{ tree: Tree; pid: number }> {
  const tree = new Tree(mode, everyMs)
  const [, pid = 0] = await tree.until('ready')
  trees.push({ tree, pid })
  return { tree, pid }
}

async function gone(pid: number): Promise<void> {
  while (isRunning(pid)) await delay(1)
}

async function stopped(pid: number): Promise<void> {
  while (readProcess(pid)?.state !== 'T') await delay(1)
}

describe('a supervisor', () => {
  it.skipIf(process.platform !== 'linux')('restarts nobody after the whole tree was suspended', async () => {
    const { tree, pid } = await plant()
    await tree.until('pong')
    for (const stop of [pid, tree.process.pid ?? 0]) {
      process.kill(stop, 'SIGSTOP')
      await stopped(stop)
    }
    // Ten times as long as it takes to find a loop hung with these figures: the one wait that nothing announces.
    await delay(1_000)
    process.kill(tree.process.pid ?? 0, 'SIGCONT')
    // The supervisor runs first, and alone for a moment, as after a real suspension.
    await delay(20)
    process.kill(pid, 'SIGCONT')
    for (let pong = 0; pong < 6; pong++) await tree.until('pong')
    expect(tree.words.filter(([word]) => word !== 'pong').map(([word]) => word)).toEqual([
      'starting',
      'ready',
    ])
    expect(isRunning(pid)).toBe(true)
  })

  it.skipIf(process.platform !== 'linux')('restarts a child that is stopped alone', async () => {
    const { tree, pid } = await plant()
    process.kill(pid, 'SIGSTOP')
    const [, , reason] = await tree.until('backoff')
    expect(reason).toMatch(/^hung: .*the process is stopped by a signal/)
    const [, next] = await tree.until('ready')
    expect(next).not.toBe(pid)
    await gone(pid)
    process.kill(next ?? 0, 'SIGKILL')
  })

  it('stops its children on SIGTERM and ends', async () => {
    const { tree, pid } = await plant()
    tree.process.kill('SIGTERM')
    await tree.until('over')
    expect(isRunning(pid)).toBe(false)
    expect(await tree.exit()).toEqual([0, null])
  })

  it('leaves no child behind when it exits without stopping them', async () => {
    for (const [word, code] of [
      ['exit', 7],
      ['throw', 1],
    ] as const) {
      const { tree, pid } = await plant('stubborn')
      tree.process.stdin.write(`${word}\n`)
      expect(await tree.exit()).toEqual([code, null])
      await gone(pid)
    }
  })

  it('leaves no child behind when it is killed: they see the end of their link', async () => {
    const { tree, pid } = await plant()
    tree.process.kill('SIGKILL')
    await tree.exit()
    await gone(pid)
  })

  it('is not ended by a second signal that belongs to the first, but by a later one, children and all', async () => {
    const { tree, pid } = await plant('stubborn', 10_000)
    tree.process.kill('SIGINT')
    await tree.until('stopping')
    tree.process.kill('SIGINT')
    tree.process.kill('SIGTERM')
    await delay(350)
    expect(isRunning(pid)).toBe(true)
    tree.process.kill('SIGINT')
    expect(await tree.exit()).toEqual([130, null])
    await gone(pid)
  })
})
