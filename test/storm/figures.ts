import type { Histogram } from './ledger.ts'
import type { Memory } from './memory.ts'

/** Descriptors that were open. */
export interface BeforeAfter {
  readonly before: readonly string[]
  readonly after: readonly string[]
}

/** What a process that lived through the storm says of itself. */
export interface SteadyReport {
  readonly id: string
  readonly made: number
  readonly settled: number
  readonly open: readonly string[]
  readonly lateMs: number
  readonly reconnects: number
  readonly connected: boolean
  readonly openCalls: number
  readonly wrong: readonly string[]
  readonly topicFaults: readonly string[]
  readonly ticks: number
  readonly fds: BeforeAfter
  readonly warm: Memory
  readonly end: Memory
}

/** What the driver says of the whole. */
export interface DriverReport extends SteadyReport {
  readonly seed: number
  readonly seconds: number
  readonly kills: { readonly workers: number; readonly outsiders: number; readonly hubs: number }
  readonly restarts: { readonly workers: number; readonly outsiders: number; readonly hubs: number }
  /** ms from a kill until the calls that it cost had settled. */
  readonly afterPeer: Histogram['figures']
  readonly afterHub: Histogram['figures']
  /** ms from a hub's end until the next one took calls. */
  readonly hubBack: Histogram['figures']
  readonly steady: readonly SteadyReport[]
  /** Processes of the storm that were left when all was closed. */
  readonly orphans: readonly string[]
  /** What was left in the folder that held the runtime folder. */
  readonly leftFiles: readonly string[]
  /** Descriptors with nothing started, and with all closed. */
  readonly bareFds: BeforeAfter
}
