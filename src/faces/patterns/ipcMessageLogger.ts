// Wraps Ring: the last messages, as S1 writes them down.
import { Ring } from '../../core/ring.ts'
import { count, flag, given, readOptions } from '../../policies/options.ts'
import type { ProcessMessage } from './processMessage.ts'

/** The fields and names of S1's entries. */
export interface IPCLogEntry {
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly direction: string
  readonly message_type: string
  readonly process: string
  /** Bytes. */
  readonly size: number
}

export interface IPCMessageLoggerOptions {
  /** Entries kept; default 1,000. */
  readonly maxHistory?: number
  /** Default true. */
  readonly enabled?: boolean
  /** Told of each entry as it is made; S1's `spdlog::debug`. */
  readonly debug?: (text: string) => void
  /** Milliseconds since 1970; default Date.now. */
  readonly wallClock?: () => number
}

export class IPCMessageLogger {
  readonly #history: Ring<IPCLogEntry>
  readonly #options: { enabled: boolean; debug: IPCMessageLoggerOptions['debug']; wallClock: () => number }

  constructor(options?: IPCMessageLoggerOptions) {
    const { maxHistory, ...others } = readOptions('IPCMessageLogger', options, {
      maxHistory: count(1_000),
      enabled: flag(true),
      debug: given<IPCMessageLoggerOptions['debug']>(undefined, 'a function'),
      wallClock: given<() => number>(Date.now, 'a function'),
    })
    this.#history = new Ring(maxHistory)
    this.#options = others
  }

  /** Keeps who sent what and how large it is, never what it says. */
  logMessage(direction: string, message: ProcessMessage, process: string): void {
    const { enabled, debug, wallClock } = this.#options
    if (!enabled) return
    const entry = {
      timestamp: wallClock(),
      direction,
      message_type: message.getName(),
      process,
      size: message.getSize(),
    }
    this.#history.add(entry)
    debug?.(`IPC: ${JSON.stringify(entry)}`)
  }

  /** The last entries, the oldest first. */
  history(): IPCLogEntry[] {
    return this.#history.all()
  }
}
