/**
 * A terminal sends Ctrl-C to every process of the foreground, and a package manager among them passes it on
 * once more. So what comes this soon after the first signal is the same key press, not a second one.
 */
const SAME_SIGNAL_MS = 300
/** As a shell reports a program that ended by SIGINT. */
const HARD_EXIT_CODE = 130

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** The part of `process` that is used here. */
export interface SignalSource {
  on(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
  off(signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
  exit(code: number): unknown
}

/**
 * Runs `stop` once, at the first SIGINT or SIGTERM. While it runs, a further signal exits at once with
 * {@link HARD_EXIT_CODE}. When it has settled the listeners are gone, and the process ends by itself if it has
 * nothing left to do. If it rejects, that is an unhandled rejection: Node prints it and exits with code 1.
 *
 * @returns a function that takes the listeners away
 */
export function onShutdown(
  stop: (signal: NodeJS.Signals) => void | Promise<void>,
  source: SignalSource = process,
  now: () => number = () => performance.now(),
): () => void {
  let firstAt: number | undefined
  const dispose = () => {
    for (const signal of SIGNALS) source.off(signal, onSignal)
  }
  const run = async (signal: NodeJS.Signals) => {
    try {
      await stop(signal)
    } finally {
      dispose()
    }
  }
  const onSignal = (signal: NodeJS.Signals) => {
    if (firstAt === undefined) {
      firstAt = now()
      void run(signal)
    } else if (now() - firstAt >= SAME_SIGNAL_MS) {
      source.exit(HARD_EXIT_CODE)
    }
  }
  for (const signal of SIGNALS) source.on(signal, onSignal)
  return dispose
}
