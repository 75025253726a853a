/**
 * Starts the processes of an app, watches them and starts them again (promise 14). What the links carry is
 * not its business: `attach` makes a link of each socket, and the supervisor asks it four things.
 */
import { ViaductError } from '../wire/errors.ts'
import { type HostClock, hostClock } from './clock.ts'
import { checkId } from './credentials.ts'
import { SupervisedChild } from './supervisedChild.ts'
import type {
  ChangeDetails,
  ChildSpec,
  ChildState,
  ChildStatus,
  StartedChild,
  SupervisedLink,
} from './supervision.ts'

export interface SupervisorOptions {
  readonly app: string
  /** Makes a link of the socket of a child that was just started, and owns the socket from then on. */
  readonly attach: (child: StartedChild) => SupervisedLink
  /** Told each change of state, in order, at once. It may not throw. */
  readonly onChange?: (id: string, state: ChildState, details: ChangeDetails) => void
  readonly clock?: HostClock
  /** A number from 0 to below 1, for the jitter of the backoff. */
  readonly random?: () => number
}

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #children = new Map<string, SupervisedChild>()
  #stopped = false
  readonly #onExit = () => {
    for (const child of this.#children.values()) child.killNow()
  }

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  /**
   * Starts a child and keeps it running until it is stopped or fails for good. An exit with code 0 is a loss
   * like any other. An id may be used again once its child has stopped or failed.
   *
   * @throws ViaductError INVALID_ARGUMENT / BAD_ID, BAD_LIMIT, BAD_LINK · ALREADY_EXISTS / CHILD_EXISTS ·
   * FAILED_PRECONDITION / SUPERVISOR_STOPPED. A command that cannot be run is no exception here: the child
   * changes to `failed`, and `whenReady` rejects.
   */
  supervise(id: string, spec: ChildSpec): void {
    if (this.#stopped) {
      throw new ViaductError('FAILED_PRECONDITION', `${id} cannot be started: the supervisor has stopped`, {
        reason: 'SUPERVISOR_STOPPED',
      })
    }
    const there = this.#children.get(checkId(id))
    if (there && there.state !== 'stopped' && there.state !== 'failed') {
      throw new ViaductError(
        'ALREADY_EXISTS',
        `a child ${id} is ${there.state} already: choose another id, or stop it first`,
        { reason: 'CHILD_EXISTS' },
      )
    }
    const { app, attach, onChange = () => {}, clock = hostClock, random = Math.random } = this.#options
    const child = new SupervisedChild(id, spec, { app, attach, onChange, clock, random })
    if (this.#children.size === 0) process.on('exit', this.#onExit)
    this.#children.set(id, child)
    child.begin(there)
  }

  /** Settles when the child may be called. Throws as {@link SupervisedChild.whenReady}, or NOT_FOUND / CHILD_UNKNOWN. */
  async whenReady(id: string): Promise<void> {
    return this.#child(id).whenReady()
  }

  /**
   * Stops one child, or all of them together and for good, in order (see {@link SupervisedChild.stop}).
   * Settles when their processes are gone; takes `stopTimeoutMs` and the time the system needs, at most.
   *
   * @throws ViaductError NOT_FOUND / CHILD_UNKNOWN
   */
  async stop(id?: string): Promise<void> {
    if (id !== undefined) return this.#child(id).stop()
    this.#stopped = true
    await Promise.all([...this.#children.values()].map((child) => child.stop()))
    process.off('exit', this.#onExit)
  }

  /**
   * Sends a signal to the child's process, as an outsider would. The supervisor treats what follows as a loss.
   *
   * @returns false when no process runs
   * @throws ViaductError NOT_FOUND / CHILD_UNKNOWN
   */
  kill(id: string, signal: NodeJS.Signals = 'SIGKILL'): boolean {
    return this.#child(id).signal(signal)
  }

  /** All children in the order in which they were first supervised. */
  status(): ChildStatus[] {
    return [...this.#children.values()].map((child) => child.status)
  }

  #child(id: string): SupervisedChild {
    const child = this.#children.get(id)
    if (child) return child
    throw new ViaductError('NOT_FOUND', `no child ${id} is supervised here: supervise it first`, {
      reason: 'CHILD_UNKNOWN',
    })
  }
}
