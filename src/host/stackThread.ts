/**
 * The stack of a loop that hangs, told by a second thread of the same process: the loop itself answers nobody, and
 * Node's report on a signal waits for the loop as well. The thread sleeps until the supervisor writes to the
 * descriptor that it was given. No port is opened and no file is written.
 */
import { Worker } from 'node:worker_threads'

/** Where a child finds the descriptor of the supervisor's questions. */
export const STACK_FD_VARIABLE = 'VIADUCT_STACK_FD'

/** One place where the loop was found. */
export interface Frame {
  /** As the program names it; '' for one without a name. */
  readonly name: string
  /** File or URL. */
  readonly file: string
  /** From 1 on. */
  readonly line: number
}

/** Starts the thread if the supervisor wants it. What goes wrong with it costs the stack alone. */
export function startStackThread(env: NodeJS.ProcessEnv = process.env): void {
  const fd = Number(env[STACK_FD_VARIABLE])
  delete env[STACK_FD_VARIABLE]
  if (!(fd > 2)) return
  try {
    // As text, so that it needs no file of its own when a program is bundled.
    const thread = new Worker(`(${stackThread.toString()})(${fd})`, {
      eval: true,
      execArgv: [],
      env: {},
      name: 'viaduct stack',
    })
    thread.on('error', () => {})
    thread.unref()
  } catch {
    // No thread, no stack.
  }
}

/** Runs in the thread, as text: it may use nothing of this module. Each question is a byte, each answer a line of JSON. */
function stackThread(fd: number): void {
  const { Session } = process.getBuiltinModule('node:inspector')
  const { Socket } = process.getBuiltinModule('node:net')
  const socket = new Socket({ fd, readable: true, writable: true })
  let session: InstanceType<typeof Session> | undefined
  const begin = () => {
    const begun = new Session()
    begun.connectToMainThread()
    const files = new Map<string, string>()
    begun.on('Debugger.scriptParsed', ({ params }) => files.set(params.scriptId, params.url))
    begun.on('Debugger.paused', ({ params }) => {
      const frames = params.callFrames.slice(0, 16).map(({ functionName, location }) => ({
        name: functionName.slice(0, 200),
        file: (files.get(location.scriptId) ?? '').slice(-300),
        line: location.lineNumber + 1,
      }))
      begun.post('Debugger.resume')
      socket.write(`${JSON.stringify(frames)}\n`)
    })
    begun.post('Debugger.enable')
    return begun
  }
  socket.on('data', () => {
    session ??= begin()
    session.post('Debugger.pause')
  })
  socket.on('error', () => {})
}
