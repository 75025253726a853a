import { hasConnectionAt, isTraced } from './processInfo.ts'

/** Node announces each inspector that it opens on stderr, also one that SIGUSR1 opens while the loop hangs. */
const OPENED = /^Debugger listening on ws:\/\/\S+:(\d{1,5})\//
/** A line that is longer is none of these. */
const LINE_CHARS = 256
/** Ports that are kept of one process: an inspector opens one at a time. */
const MAX_PORTS = 8

/**
 * Knows whether a debugger holds a process: it is traced, or somebody is connected to an inspector that it has
 * announced. What it prints decides only where to look: without a connection it is not held.
 */
export class InspectorPorts {
  readonly #ports = new Set<number>()
  #line = ''

  /** Reads what the process writes to stderr. */
  read(chunk: Buffer): void {
    const lines = (this.#line + chunk.toString('latin1')).split('\n')
    this.#line = (lines.pop() ?? '').slice(0, LINE_CHARS)
    for (const line of lines) {
      const port = Number(OPENED.exec(line)?.[1])
      if (!(port > 0)) continue
      this.#ports.delete(port)
      this.#ports.add(port)
      const [oldest] = this.#ports
      if (this.#ports.size > MAX_PORTS && oldest !== undefined) this.#ports.delete(oldest)
    }
  }

  /** Where the system does not tell of connections, an open inspector counts as one that is used. */
  holds(pid: number): boolean {
    if (isTraced(pid)) return true
    return this.#ports.size > 0 && (hasConnectionAt(pid, this.#ports) ?? true)
  }
}
