// Wraps a call's method and input: a message is a name and a list of arguments.
import { ViaductError } from '../../wire/errors.ts'
import { pack } from '../../wire/packed.ts'
import { ArgumentList } from './argumentList.ts'

/** Names travel as names of methods, and stand in rules and logs. */
const NAME = /^[A-Za-z_][\w.-]{0,199}$/

/** A message by name, with arguments in order, as CEF's process messages are. */
export class ProcessMessage {
  readonly #name: string
  readonly #arguments: ArgumentList

  private constructor(name: string, args: ArgumentList) {
    if (!NAME.test(name)) {
      const text = `the name ${JSON.stringify(String(name).slice(0, 40))}: letters, digits, _, . and -, 200 at most`
      throw new ViaductError('INVALID_ARGUMENT', `ProcessMessage: ${text}`, {
        reason: 'BAD_METHOD',
        path: 'name',
      })
    }
    this.#name = name
    this.#arguments = args
  }

  /**
   * A message without arguments yet.
   * @throws ViaductError INVALID_ARGUMENT / BAD_METHOD
   */
  static create(name: string): ProcessMessage {
    return new ProcessMessage(name, new ArgumentList())
  }

  /**
   * A message that came, or one from a list of arguments.
   * @throws ViaductError INVALID_ARGUMENT / BAD_METHOD, INVALID_INPUT
   */
  static from(name: string, args: unknown): ProcessMessage {
    return new ProcessMessage(name, new ArgumentList(args))
  }

  getName(): string {
    return this.#name
  }

  getArgumentList(): ArgumentList {
    return this.#arguments
  }

  /** Bytes of its name and arguments, as they travel. */
  getSize(): number {
    return this.#name.length + pack(this.#arguments.values).length
  }
}
