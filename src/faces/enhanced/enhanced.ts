import type { EnhancedIPCOptions } from './options.ts'
import { EnhancedSystem, type IPCCallback, type IPCSystem } from './system.ts'

let current = new EnhancedSystem()

/** The system of this process: the one that was started, or a sender to `data/ipc` with S2's timeouts. */
export function getIPCSystem(): IPCSystem {
  return running()
}

/**
 * Begins to receive every group below the root, in the background, until `stop()`. It keeps the process alive. Handlers
 * that were registered before stay.
 *
 * @returns what `getIPCSystem()` gives; `ready` tells when it watches
 * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION · FAILED_PRECONDITION / ALREADY_STARTED
 */
export function startEnhancedIPC(callback: IPCCallback, options?: EnhancedIPCOptions): IPCSystem {
  const system = running()
  system.start(callback, options)
  return system
}

/** The old interface: as {@link startEnhancedIPC}, one message of a group after the other. */
export function startIpcWatcher(callback: IPCCallback, options: EnhancedIPCOptions = {}): IPCSystem {
  return startEnhancedIPC(callback, { concurrency: 1, ...options })
}

function running(): EnhancedSystem {
  if (current.isStopped) current = new EnhancedSystem()
  return current
}
