/** The words of supervision: what a child is started with, what its link can do, what is told of it. */
import type { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import type { ViaductError } from '../wire/errors.ts'
import type { HangEvidence } from './evidence.ts'
import type { HeartbeatLimits } from './heartbeat.ts'
import type { RestartLimits } from './restartPolicy.ts'

export const READY_TIMEOUT_MS = 10_000
export const STOP_TIMEOUT_MS = 5_000
/** A child whose link has ended has so long to exit by itself. */
export const EXIT_GRACE_MS = 500

export interface ChildSpec {
  readonly type: string
  /** The command and its arguments. No shell reads them. */
  readonly run: readonly [command: string, ...args: string[]]
  /** Added to our own environment; undefined removes. No secret belongs here: others can read it. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /**
   * The way to the child: a socket pair that it inherits, or its own stdin and stdout, for programs that have
   * nothing else. Its prints on stdout would break that link: `join()` moves them to stderr. Default `socket`.
   */
  readonly link?: 'socket' | 'stdio'
  /**
   * Default: `in` is ignored, `out` and `err` are ours. The end of `err` is kept in either case. With
   * `link: 'stdio'` the first two are the link's.
   */
  readonly stdio?: {
    readonly in?: 'ignore' | 'inherit'
    readonly out?: 'ignore' | 'inherit'
    readonly err?: 'ignore' | 'inherit'
  }
  readonly restart?: Partial<RestartLimits>
  readonly heartbeat?: Partial<HeartbeatLimits>
  /**
   * Keeps a second thread in a Node child, which says where its loop stands when it hangs: see
   * {@link HangEvidence.stack}. It costs the child about 10 MB. Default false.
   */
  readonly stackOnHang?: boolean
  /** From the start of the process until its link is ready. Default {@link READY_TIMEOUT_MS}. */
  readonly readyTimeoutMs?: number
  /** From the first word of stopping until SIGKILL. Default {@link STOP_TIMEOUT_MS}. */
  readonly stopTimeoutMs?: number
}

/** What `attach` is given for each life of a child. It owns the streams from then on. */
export interface StartedChild {
  readonly id: string
  readonly type: string
  readonly pid: number
  readonly socket: Socket
  /** Where to write to it, if that is not the socket: the stdin of a child whose stdout is the socket. */
  readonly output?: Writable
}

/** What the supervisor wants of a link. */
export interface SupervisedLink {
  /** Settles when the child may be called; a rejection is a failed start. */
  readonly ready: Promise<void>
  /** Resolves with the reason when the link has ended. */
  readonly closed: Promise<string>
  ping(): Promise<void>
  /** Takes no more calls; settles when those under way have ended. */
  drain(): Promise<void>
  close(reason: string): void
  /** True while the child has declared that it will be silent. */
  resting?(): boolean
  /** True when the child has said that it prints its stacks on stderr at SIGUSR2. */
  printsStack?(): boolean
}

export type ChildState = 'starting' | 'ready' | 'backoff' | 'stopping' | 'stopped' | 'failed'

export interface ChildExit {
  /** One of the two: the exit code, or the signal that killed it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface ChildStatus {
  readonly id: string
  readonly type: string
  readonly state: ChildState
  /** Of the process that runs. */
  readonly pid: number | undefined
  /** How often it was started again. */
  readonly restarts: number
  /** Start of the process that runs, or ran last; milliseconds since 1970. */
  readonly startedAt: number | undefined
  readonly lastExit: ChildExit | undefined
  /** Why it was lost the last time, in words. */
  readonly lastLoss: string | undefined
  /** What was seen of it when it was last taken for hung. */
  readonly lastHang: HangEvidence | undefined
  /** The last 4 KiB that it wrote to stderr, over all its lives, as it wrote them: escape them to print. */
  readonly stderrTail: string
}

/** What is known at a change of state. */
export interface ChangeDetails {
  readonly pid?: number
  /** `backoff`, `failed`: why the process was lost, in words, with the evidence if it was killed for silence. */
  readonly reason?: string
  /** `backoff`, `failed`: what was seen of it before it was killed, if it was taken for hung. */
  readonly evidence?: HangEvidence
  /** `backoff`: milliseconds until it is started again, or longer if the old process takes longer to end. */
  readonly delayMs?: number
  /** `failed`: the error that {@link SupervisedChild.whenReady} rejects with. */
  readonly error?: ViaductError
  /** Where the process has ended by now; the link may end before. */
  readonly exit?: ChildExit
}
