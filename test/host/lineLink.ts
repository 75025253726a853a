import { EventEmitter, once } from 'node:events'
import type { StartedChild, SupervisedLink } from '../../src/host/supervision.ts'

/** A link of one word a line, for the fixture child. Emits each line that is not the link's own. */
export class LineLink extends EventEmitter implements SupervisedLink {
  readonly child: StartedChild
  readonly ready: Promise<void>
  readonly closed: Promise<string>
  pongs = 0
  drains = 0
  closedWith: string | undefined
  rests = false
  prints = false
  readonly #heard = new Map<string, string>()
  #number = 0

  constructor(child: StartedChild) {
    super()
    this.child = child
    this.ready = once(this, 'ready').then(() => {})
    this.closed = new Promise((resolve) => child.socket.on('close', () => resolve('TRANSPORT_CLOSED')))
    let rest = ''
    child.socket.setEncoding('utf8')
    child.socket.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const [word = '', argument = ''] = line.split(/ (.*)/)
        this.#heard.set(word, argument)
        if (word === 'pong') this.emit('pong', ++this.pongs)
        this.emit(word === 'pong' ? `pong ${argument}` : word, argument)
      }
    })
  }

  say(word: string): void {
    this.child.socket.write(`${word}\n`)
  }

  /** What came with that word, if it came already, or when it comes. */
  async heard(word: string): Promise<string> {
    if (!this.#heard.has(word)) await once(this, word)
    return this.#heard.get(word) ?? ''
  }

  async ping(): Promise<void> {
    const number = ++this.#number
    const pong = once(this, `pong ${number}`)
    this.say(`ping ${number}`)
    await pong
  }

  async drain(): Promise<void> {
    this.drains++
    const drained = once(this, 'drained')
    this.say('drain')
    await drained
  }

  close(reason: string): void {
    this.closedWith ??= reason
    this.child.socket.destroy()
  }

  printsStack(): boolean {
    return this.prints
  }

  resting(): boolean {
    return this.rests
  }
}
