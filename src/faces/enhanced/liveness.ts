import { isNamedProcessRunning, isProcessName } from '../../host/processName.ts'
import type { MailMessage } from '../../mailbox/index.ts'
import type { IPCMessage } from './message.ts'
import { isOfType } from './payloads.ts'

/** A process that said so itself. */
export interface LiveProcess {
  readonly groupFolder: string
  readonly processId: number
  readonly status: string
  /** When it said so, milliseconds since 1970. */
  readonly seenMs: number
}

/** Processes that are remembered; the one heard longest ago goes. */
const MAX_PROCESSES = 1_000

/** Who is alive, by the heartbeats that this process received. */
export class Liveness {
  readonly #heard = new Map<string, LiveProcess & { readonly sender: string | undefined }>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  note(message: MailMessage): void {
    const { groupFolder, sender } = message
    const data: IPCMessage = message
    if (!isOfType(data, 'heartbeat')) return
    const { processId, status } = data.payload
    const key = `${groupFolder}/${processId}`
    // One that lay there for a while is as old as it says.
    const seenMs = Math.min(Date.parse(message.timestamp), this.#nowMs())
    if (!(seenMs >= (this.#heard.get(key)?.seenMs ?? 0))) return
    this.#heard.delete(key)
    this.#heard.set(key, { groupFolder, processId, status, seenMs, sender })
    const [oldest] = this.#heard.keys()
    if (this.#heard.size > MAX_PROCESSES && oldest !== undefined) this.#heard.delete(oldest)
  }

  /** Those heard of within so long; without those that are known to have ended since. */
  alive(withinMs: number): LiveProcess[] {
    const since = this.#nowMs() - withinMs
    return [...this.#heard.values()].flatMap(({ sender, ...live }) => {
      const ended = sender !== undefined && isProcessName(sender) && isNamedProcessRunning(sender) === false
      return live.seenMs >= since && !ended ? [live] : []
    })
  }
}
