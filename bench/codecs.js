/** What codecs cost a call of one short text, within one process: `node bench/codecs.js [calls]`. Build first. */

import { contract, method, nodePrimitives as primitives, unchecked } from 'viaduct'
import { codecs, keyring } from 'viaduct/codecs'
import { memoryHub } from 'viaduct/testing'

const calls = Number(process.argv[2] ?? 5000)
const kinds = {
  plain: {},
  compressed: { compress: true },
  sealed: { sealed: true },
  signed: { signed: true },
  'sealed and signed': { sealed: true, signed: true },
}
const hub = memoryHub()
const [main, ai] = [hub.peer('main'), hub.peer('ai-1')]
const codecOf = (peer) => codecs({ primitives, keys: keyring({ primitives, peer }) })
const [ours, theirs] = [codecOf(main), codecOf(ai)]
const texts = { short: 'x'.repeat(64), long: 'a page of words '.repeat(512) }
console.log(
  `µs a call, one at a time, of a text of ${texts.short.length} and of ${texts.long.length} characters`,
)
for (const [kind, options] of Object.entries(kinds)) {
  const name = kind.replaceAll(' ', '_')
  const text = unchecked()
  const one = contract(name, { echo: method({ input: text, output: text, ...options }) })
  ai.serve(one, { echo: (input) => input }, { policies: [theirs] })
  await ai.ready()
  const api = main.client(one, { id: 'ai-1' }, { policies: [ours] })
  const times = []
  if (kind === 'plain') for (let n = 0; n < calls; n++) await api.echo(texts.short)
  for (const text of Object.values(texts)) {
    for (let n = 0; n < calls / 5; n++) await api.echo(text)
    const began = performance.now()
    for (let n = 0; n < calls; n++) await api.echo(text)
    times.push((((performance.now() - began) * 1000) / calls).toFixed(1).padStart(8))
  }
  console.log(kind.padEnd(18), ...times)
}
hub.close()
