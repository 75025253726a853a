import { manifest } from 'viaduct'

/** A page with hundreds of long links is larger than what an untrusted process may send by default. */
const PAGE_BYTES = 4 * 1024 * 1024

/**
 * Who may do what. What is not here is denied by the hub, whatever a process says of itself: who it is comes
 * from the link that it was started with. Answering needs no rule. What goes through the mailbox does not pass the hub:
 * there the folder says who may, and only this user may open it.
 */
export const rules = manifest({
  main: {
    call: ['documents.list', 'pages.parse', 'analysis.analyze', 'plugin.attempts'],
    subscribe: ['pages.progress'],
  },
  network: {},
  renderer: {
    zone: 'untrusted',
    call: [{ method: 'documents.text', to: 'network' }],
    publish: ['pages.*'],
    limits: { messageBytes: PAGE_BYTES },
  },
  ai: { call: [{ method: 'lexicon.*', to: 'lexicon' }] },
  lexicon: {},
  worker: {},
  plugin: {
    zone: 'untrusted',
    call: [{ method: 'analysis.analyze', to: 'ai' }],
    subscribe: ['pages.opened'],
  },
  /** Whoever looks around with the command line. */
  cli: { call: ['analysis.*', 'documents.list', 'history.recent'], subscribe: ['*'] },
})
