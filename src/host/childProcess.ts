/**
 * One process with a link to it.
 *
 * **The link** is a socket pair, made by the system before the child runs, so it needs no name and no secret:
 * the child finds its end at the descriptor that VIADUCT_FD names; or it is the child's stdin and stdout, and
 * VIADUCT_FD is `stdio`. The end of the link is the child's signal
 * to exit. That is what leaves no orphan when the supervisor itself dies hard, and children keep to it.
 *
 * **A process group of its own** (not on Windows) is what each child gets. A terminal's Ctrl-C then reaches the
 * supervisor alone, which drains and stops the children in order, where it would otherwise kill all of them
 * at once in the middle of their work; and a kill reaches what the child has started as well.
 */
import { type ChildProcess as NodeProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { ViaductError } from '../wire/errors.ts'
import type { HostClock } from './clock.ts'
import { errnoOf, messageOf, unless } from './errno.ts'
import { STDIO } from './inheritedLink.ts'
import { InspectorPorts } from './inspectorPorts.ts'
import { STACK_FD_VARIABLE } from './stackThread.ts'
import type { StderrTail } from './stderrTail.ts'
import type { ChildExit, ChildSpec } from './supervision.ts'

/** The descriptor at which a child finds its end of the link. */
export const LINK_FD = 3
/** The descriptor at which the thread that tells of its stack finds our questions. */
const STACK_FD = 4
/** After the exit, what the child wrote last is read for so long. */
const LAST_WORDS_MS = 100
const POSIX = process.platform !== 'win32'

export interface ChildProcessOptions {
  readonly app: string
  readonly id: string
  readonly spec: ChildSpec
  readonly clock: HostClock
  readonly tail: StderrTail
  /** Told once, unless the process could not be started. */
  readonly onExit: (exit: ChildExit) => void
  /** Told once, and later than the constructor returns, when the process could not be started. */
  readonly onStartError: (error: unknown) => void
}

export class ChildProcess {
  /** Undefined when it could not be started. */
  readonly pid: number | undefined
  /** Our end of the link. Undefined when it could not be started. */
  readonly socket: Socket | undefined
  /** Where to write to it, if that is not the socket. */
  readonly output: Writable | undefined
  /** The way to the thread that tells of its stack, where one was asked for. */
  readonly stack: Socket | undefined
  /** Settles when the process is gone and its last words are read, or when it could not be started. */
  readonly gone: Promise<void>
  #exit: ChildExit | undefined
  readonly #process: NodeProcess | undefined
  readonly #inspector = new InspectorPorts()

  constructor(options: ChildProcessOptions) {
    try {
      this.#process = start(options)
    } catch (error) {
      queueMicrotask(() => options.onStartError(error))
      this.gone = Promise.resolve()
      return
    }
    const started = this.#process
    this.pid = started.pid
    started.on('error', (error) => {
      // Later errors are of signals that could not be sent; nothing is lost with those.
      if (started.pid === undefined) options.onStartError(error)
    })
    options.tail.follow(started.stderr, options.spec.stdio?.err ?? 'inherit')
    started.stderr?.on('data', (chunk: Buffer) => this.#inspector.read(chunk))
    const stack = started.stdio[STACK_FD]
    if (stack instanceof Socket) {
      this.stack = stack
      stack.on('error', () => {}) // No stack is told then.
    }
    const overStdio = options.spec.link === STDIO
    const socket = overStdio ? started.stdout : started.stdio[LINK_FD]
    this.output = (overStdio && started.stdin) || undefined
    if (socket instanceof Socket) {
      this.socket = socket
      socket.on('error', () => {}) // The link reports it; without a listener it would end this process.
      this.output?.on('error', () => {})
    }
    this.gone = started.pid === undefined ? Promise.resolve() : this.#watch(started, started.pid, options)
  }

  get running(): boolean {
    return this.pid !== undefined && this.#exit === undefined
  }

  /** Whether a debugger holds the process now, so that its silence means nothing. */
  get isHeld(): boolean {
    return this.pid !== undefined && this.#inspector.holds(this.pid)
  }

  get exit(): ChildExit | undefined {
    return this.#exit
  }

  /** Sends a signal to the process alone. False when it does not run. */
  signal(signal: NodeJS.Signals): boolean {
    return this.running && (this.#process?.kill(signal) ?? false)
  }

  /** Kills the process and all that it has started. */
  kill(): void {
    if (this.running && this.pid !== undefined) killGroup(this.pid)
  }

  #watch(started: NodeProcess, pid: number, options: ChildProcessOptions): Promise<void> {
    return new Promise((resolve) => {
      let cancel = () => {}
      const over = () => {
        cancel()
        // Somebody who has left the group may hold the other end for ever.
        started.stderr?.destroy()
        this.stack?.destroy()
        resolve()
      }
      started.once('exit', (code, signal) => {
        this.#exit = { code, signal, at: Date.now() }
        killGroup(pid)
        cancel = options.clock.after(LAST_WORDS_MS, over)
        options.onExit(this.#exit)
      })
      started.once('close', over)
    })
  }
}

/** A process table or descriptor table that is full gets empty again; a missing command does not come by itself. */
export function isPassing(error: unknown): boolean {
  return ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM'].includes(errnoOf(error))
}

/** The error for a child that could not be started: names the command, or the folder, and what to do. */
export function startError(id: string, spec: ChildSpec, error: unknown): ViaductError {
  const command = JSON.stringify(spec.run[0])
  const code = errnoOf(error)
  let help = `the command ${command} could not be run (${messageOf(error)}): see that it is a program that we may execute`
  if (code === 'ENOENT')
    help = `the command ${command} was not found: give its full path, or add its folder to PATH`
  if (spec.cwd !== undefined && !existsSync(spec.cwd)) {
    help = `its working folder ${spec.cwd} is not there: make it, or correct \`cwd\``
  }
  return new ViaductError('NOT_FOUND', `${id} was not started: ${help}`, {
    reason: 'COMMAND_NOT_FOUND',
    fate: 'not-sent',
    cause: error,
  })
}

function start({ app, id, spec }: ChildProcessOptions): NodeProcess {
  const [command, ...args] = spec.run
  const overStdio = spec.link === STDIO
  const link = overStdio ? STDIO : String(LINK_FD)
  const stack = spec.stackOnHang ? { [STACK_FD_VARIABLE]: String(STACK_FD) } : {}
  const { in: input = 'ignore', out = 'inherit' } = spec.stdio ?? {}
  return spawn(command, args, {
    ...(spec.cwd === undefined ? {} : { cwd: spec.cwd }),
    env: { ...process.env, ...spec.env, VIADUCT_FD: link, VIADUCT_APP: app, VIADUCT_ID: id, ...stack },
    stdio: [
      ...(overStdio
        ? (['pipe', 'pipe', 'pipe', 'ignore'] as const)
        : ([input, out, 'pipe', 'pipe'] as const)),
      ...(spec.stackOnHang ? (['pipe'] as const) : []),
    ],
    detached: POSIX,
    windowsHide: true,
  })
}

/** SIGKILL to a process and all that it has started and that has not left its group. */
function killGroup(pid: number): void {
  unless(['ESRCH', 'EPERM'], () => process.kill(POSIX ? -pid : pid, 'SIGKILL'))
}
