import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { errnoOf, unless } from '../host/errno.ts'
import { hubAddress, openRuntimeFolder, runtimeRoot } from '../host/runtimeFolder.ts'
import { fieldOf } from '../wire/fieldOf.ts'
import { Failure, UsageError } from './failure.ts'

/** How long a hub may take to accept a connection before it is passed over. */
const LOOK_MS = 1000

export interface Found {
  readonly app: string
  /** What named it, for messages. */
  readonly by: string
}

export interface Wish {
  readonly app?: string | undefined
  readonly base?: string | undefined
  readonly folder: string
  readonly context?: string | undefined
}

/**
 * The app whose hub is meant: the flag's, else VIADUCT_CONTEXT's, else that of the next package.json above
 * with `"viaduct": { "app": … }`, else of the only hub that runs.
 *
 * @throws Failure when none runs, UsageError when several do.
 */
export async function findHub({ app, base, folder, context }: Wish): Promise<Found> {
  if (app !== undefined) return { app, by: '--app' }
  if (context !== undefined && context !== '') return { app: context, by: 'VIADUCT_CONTEXT' }
  const named = appAbove(folder)
  if (named) return named
  const running = await runningHubs(base)
  const only = running[0]
  if (only === undefined) {
    throw new Failure(`no hub is running (looked in ${runtimeRoot(base)})`, {
      next: ['start your program, for example with `npm start`, as the same user'],
    })
  }
  if (running.length > 1) {
    throw new UsageError(
      `${running.length} hubs are running: ${running.join(', ')}`,
      ...running.slice(0, 3).map((name) => `viaduct --app ${name} …`),
    )
  }
  return { app: only, by: 'the only hub that runs' }
}

/** The app that a package.json names, in this folder or above. */
function appAbove(folder: string): Found | undefined {
  const path = join(folder, 'package.json')
  const content = unless(['ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR'], () => readFileSync(path, 'utf8'))
  const app = content === undefined ? undefined : appIn(content)
  if (app !== undefined) return { app, by: path }
  const above = dirname(folder)
  return above === folder ? undefined : appAbove(above)
}

function appIn(content: string): string | undefined {
  let found: unknown
  try {
    found = JSON.parse(content)
  } catch {
    return undefined
  }
  const app = fieldOf(fieldOf(found, 'viaduct'), 'app')
  return typeof app === 'string' ? app : undefined
}

/** The apps whose hubs accept connections now, sorted. */
export async function runningHubs(base: string | undefined): Promise<string[]> {
  const names = unless(['ENOENT', 'ENOTDIR'], () => readdirSync(runtimeRoot(base))) ?? []
  const answers = await Promise.all(names.map((app) => isRunning(app, base)))
  return names.filter((_, at) => answers[at]).sort()
}

function isRunning(app: string, base: string | undefined): Promise<boolean> {
  let address: string
  try {
    address = hubAddress(openRuntimeFolder(app, { create: false, ...(base === undefined ? {} : { base }) }))
  } catch {
    return Promise.resolve(false)
  }
  return new Promise((resolve) => {
    const socket = connect(address)
    const settle = (runs: boolean): void => {
      socket.destroy()
      resolve(runs)
    }
    socket.setTimeout(LOOK_MS, () => settle(true))
    socket.once('connect', () => settle(true))
    socket.on('error', (error) => settle(!['ECONNREFUSED', 'ENOENT', 'ENOTSOCK'].includes(errnoOf(error))))
  })
}
