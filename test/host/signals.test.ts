import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { onShutdown } from '../../src/host/signals.ts'

class Source extends EventEmitter {
  readonly exits: number[] = []
  exit(code: number): void {
    this.exits.push(code)
  }
  get listeners_(): number {
    return this.listenerCount('SIGINT') + this.listenerCount('SIGTERM')
  }
}

function scene() {
  const source = new Source()
  const calls: string[] = []
  const time = { now: 0 }
  let finish = () => {}
  const finished = new Promise<void>((resolve) => {
    finish = resolve
  })
  const dispose = onShutdown(
    (signal) => {
      calls.push(signal)
      return finished
    },
    source,
    () => time.now,
  )
  return { source, calls, time, finish, dispose }
}

describe('onShutdown', () => {
  it('stops once, at the first of the two signals', () => {
    for (const signal of ['SIGINT', 'SIGTERM']) {
      const { source, calls } = scene()
      source.emit(signal, signal)
      source.emit('SIGINT', 'SIGINT')
      source.emit('SIGTERM', 'SIGTERM')
      expect(calls).toEqual([signal])
      expect(source.exits).toEqual([])
    }
  })

  it('exits hard at a second signal that is not the echo of the first', () => {
    const { source, time } = scene()
    source.emit('SIGINT', 'SIGINT')
    time.now = 299
    source.emit('SIGINT', 'SIGINT')
    expect(source.exits).toEqual([])
    time.now = 300
    source.emit('SIGTERM', 'SIGTERM')
    expect(source.exits).toEqual([130])
  })

  it('leaves no listener, neither when it has stopped nor when it is disposed of', async () => {
    const stopped = scene()
    expect(stopped.source.listeners_).toBe(2)
    stopped.source.emit('SIGTERM', 'SIGTERM')
    stopped.finish()
    await new Promise(setImmediate)
    expect(stopped.source.listeners_).toBe(0)
    const disposed = scene()
    disposed.dispose()
    disposed.dispose()
    disposed.source.emit('SIGINT', 'SIGINT')
    expect(disposed.source.listeners_).toBe(0)
    expect(disposed.calls).toEqual([])
  })

  it('listens to the process by default', () => {
    const before = process.listenerCount('SIGTERM')
    const dispose = onShutdown(() => {})
    expect(process.listenerCount('SIGTERM')).toBe(before + 1)
    dispose()
    expect(process.listenerCount('SIGTERM')).toBe(before)
  })
})
