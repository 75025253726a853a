import { isThenable } from '../core/guards.ts'
import { ViaductError } from '../wire/errors.ts'

/** Functions by name, one for each, chosen by whoever hands something in under a name. */
export class Dispatcher<Arguments extends readonly unknown[]> {
  readonly #handlers = new Map<string, (...args: Arguments) => unknown>()

  /**
   * @returns what takes the handler away again.
   * @throws ViaductError ALREADY_EXISTS when the name has one.
   */
  handle(name: string, handler: (...args: Arguments) => unknown): () => void {
    if (this.#handlers.has(name)) {
      throw new ViaductError('ALREADY_EXISTS', `${name} has a handler here already; take it away first`)
    }
    this.#handlers.set(name, handler)
    return () => {
      if (this.#handlers.get(name) === handler) this.#handlers.delete(name)
    }
  }

  get names(): string[] {
    return [...this.#handlers.keys()]
  }

  has(name: string): boolean {
    return this.#handlers.has(name)
  }

  /**
   * Runs the handler of a name.
   * @returns whether there was one; a promise of that when it takes time, which rejects with what the handler throws.
   */
  dispatch(name: string, ...args: Arguments): boolean | Promise<boolean> {
    const handler = this.#handlers.get(name)
    if (!handler) return false
    const done = handler(...args)
    return isThenable(done) ? Promise.resolve(done).then(() => true) : true
  }
}
