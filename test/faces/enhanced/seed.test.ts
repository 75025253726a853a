/** The examples of the document that the system's names come from, word for word but for imports, in real processes. */
import { createHash } from 'node:crypto'
import { transformSync } from 'esbuild'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { pages } from '../../docs/pages.ts'
import { Stage } from './programs.ts'

/** What the document's own fences hash to without their imports; a page that says something else shows another example. */
const WORDS = {
  'Initialize IPC System': '0215833708de481abf4beb6bfb8740bf569d53159341f9f3eb4ad4f7dbea8bed',
  'Send Messages': '52c8fd46dfc5c2ab1e110f4eb0e935b9c021461d1b15e197fda5446c2b335a1f',
  'Register Custom Handlers': '0c29bae6696384aad19fccefb8ad926fa6226396d718350f891f11cf0f7b2224',
  'Old System': 'aa5e7cfff7565e620db02f4b748b6e5793cb372944e9d84c89a3c0e2904b6af1',
  'New System': '2da5edd48fd66d59f3632c7a18de18f969f00db1f961332c7fc453d9ef661a06',
  'Custom Message Types': '1e5e59448289dd5133247bf66d24fc4428b5cc8ad3093fbaf3681b68542ad912',
  'Message Queue': '26f22253e80fce434046ba29683d0bffb8d4a9e7caebe0eca385e152fcab5454',
}

/** An example without its types, which test/docs compiles. */
function example(section: keyof typeof WORDS): string {
  const page = pages.find(({ path }) => path === 'docs/seeds/s2-mailbox.md')
  const hashOf = (text: string) => createHash('sha256').update(text).digest('hex')
  const found = page?.fences.find(({ code }) => hashOf(code) === WORDS[section])
  if (!found) throw new Error(`the page has no example that is that of ${section} word for word`)
  return transformSync(found.code, { loader: 'ts', format: 'esm', target: 'es2023' }).code
}

const IMPORTS = `import { getIPCSystem, IPCMessageType, startEnhancedIPC, startIpcWatcher } from 'viaduct/mailbox'\n`

let stage: Stage
beforeEach(() => {
  stage = new Stage()
})
afterEach(() => stage.end())

describe('the document’s own examples', () => {
  it('Send Messages, Initialize IPC System: what one process sends, another receives', async () => {
    const sender = stage.start(IMPORTS + example('Send Messages'))
    expect(await sender.ended, sender.err.join('\n')).toBe(0)
    expect(stage.files('main', 'messages')).toHaveLength(1)

    const receiver = stage.start(IMPORTS + example('Initialize IPC System'))
    await receiver.said(/Execute this task/)
    await receiver.said(/command: 'restart', args: \[\]/)
    expect(receiver.err).toEqual([])
    expect(receiver.child.exitCode, 'it goes on receiving').toBe(null)
  })

  it('Register Custom Handlers: of their type alone, beside the callback', async () => {
    const receiver = stage.start(
      `${IMPORTS}startEnhancedIPC(async (group, { type }) => console.log(\`\${group} has \${type}\`))
      console.error = (...words) => console.log(...words)
      ${example('Register Custom Handlers')}`,
    )
    const sender = stage.start(
      `${IMPORTS}${example('Send Messages')}
      await ipc.send('main', IPCMessageType.ERROR, { error: 'Task failed', stack: 'Error: ...', recoverable: true })`,
    )
    expect(await sender.ended, sender.err.join('\n')).toBe(0)
    await receiver.said('IPC error: Task failed')
    await receiver.said('main has error')
    await receiver.said('group1 has command')
    await receiver.said('main has task')
    expect(receiver.out.filter((line) => line.startsWith('Task received: {'))).toHaveLength(1)
    expect(receiver.out.filter((line) => line.startsWith('IPC error:'))).toHaveLength(1)
  })

  it.each(['Old System', 'New System'] as const)('%s: the same callback', async (section) => {
    const code = example(section).replace('{', '{ console.log(groupFolder, data.type, data.payload.command)')
    const receiver = stage.start(IMPORTS + code)
    const sender = stage.start(IMPORTS + example('Send Messages'))
    expect(await sender.ended).toBe(0)
    await receiver.said('group1 command restart')
    await receiver.said('main task undefined')
  })

  it('Custom Message Types: any other string is a type', async () => {
    const receiver = stage.start(
      `${IMPORTS}const ipc = startEnhancedIPC(async () => {})
      ${example('Custom Message Types').replace('{', "{ console.log('custom', message.payload.customField)")}
      await ipc.send('main', 'custom', { customField: 'mine' })`,
    )
    await receiver.said('custom mine')
    expect(receiver.err).toEqual([])
  })

  it('Message Queue: handled one by one, apart from the handler', async () => {
    const queue = example('Message Queue')
    const receiver = stage.start(
      `${IMPORTS}const ipc = startEnhancedIPC(async () => {})
      ${queue.replace('queue.shift();', 'queue.shift(); console.log(message.payload.taskId);')}
      const task = (taskId) => ({ taskId, prompt: '', scheduleType: 'once' })
      for (const id of [1, 2, 3]) await ipc.send('main', IPCMessageType.TASK, task(id))`,
    )
    await receiver.said('3')
    expect(receiver.out).toEqual(['1', '2', '3'])
  })
})
