import { isViaductError, join } from 'viaduct'
import { analysis, documents, history, pages, plugin } from './contract.ts'
import { retrying } from './pipeline.ts'
import type { Attempt } from './schemas.ts'

/** Code of somebody else. It tries what it likes; what comes of it is for the hub to say. */
const peer = await join()
const ai = peer.client(analysis, { type: 'ai' })
const network = peer.client(documents, { type: 'network' })
const renderer = peer.client(pages, { type: 'renderer' })
const worker = peer.client(history, { type: 'worker' })

peer.serve(plugin, {
  attempts: async ({ path }) => {
    const file = { path }
    return [
      await attempt('analysis.analyze', () => ai.analyze({ title: '', headings: [], text: 'A fine day.' })),
      await attempt('pages.opened', () => hears(pages.opened)),
      await attempt('pages.progress', () => hears(pages.progress)),
      await attempt('documents.text', () => network.text(file).output),
      await attempt('pages.parse', () => renderer.parse(file)),
      await attempt('history.recent', () => worker.recent({ limit: 1 })),
      await attempt('$hub.who', () => peer.call('$hub.who')),
      await attempt('$hub.kill', () => peer.call('$hub.kill', { id: 'ai-1', signal: 'SIGKILL' })),
    ]
  },
})

/** Subscribes, and goes again once the hub has agreed. */
async function hears(topic: typeof pages.opened | typeof pages.progress): Promise<void> {
  const events = peer.subscribe<unknown>(topic)
  await events.ready
  events.cancel()
}

async function attempt(method: string, run: () => Promise<unknown>): Promise<Attempt> {
  try {
    await retrying(run)
    return { method, allowed: true, code: 'OK', message: '' }
  } catch (error) {
    const code = isViaductError(error) ? error.code : 'UNKNOWN'
    return { method, allowed: false, code, message: error instanceof Error ? error.message : String(error) }
  }
}
