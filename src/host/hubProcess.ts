/**
 * The program of `Hub.launch`: a hub alone in its process. Its options come over stdin, its launcher's link
 * is the inherited descriptor 3, and the end of that link is its signal to stop its children and go.
 */
import { text } from 'node:stream/consumers'
import { errorValue } from '../core/errorValue.ts'
import { openSocket } from '../transports/socket.ts'
import { EmbeddedHub, type ListenOptions } from './hub.ts'

const LINK_FD = 3

interface Order extends ListenOptions {
  readonly pid: number
}

function isOrder(value: unknown): value is Order {
  return typeof value === 'object' && value !== null && 'app' in value && 'pid' in value
}

async function main(): Promise<void> {
  const order: unknown = JSON.parse(await text(process.stdin))
  if (!isOrder(order)) throw new Error('the launcher gave no order')
  const { pid, id = 'main', type = 'main', ...options } = order
  const { transport } = openSocket({ fd: LINK_FD }, options)
  const hub = await EmbeddedHub.open(options)
  hub.core.operators.add(id)
  const launcherGone = hub.accept(transport, { id, type, pid })
  process.send?.({ started: true })
  process.disconnect?.()
  // Signals come from whoever started the launcher's group as well: the launcher decides what they mean.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
  await launcherGone
  await hub.close()
  process.exit(0)
}

main().catch((error: unknown) => {
  const value = errorValue(error, false)
  if (process.send) process.send({ error: value }, () => process.exit(1))
  else process.exit(1)
})
