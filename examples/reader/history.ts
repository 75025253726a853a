import { join } from 'viaduct'
import { mailboxes } from 'viaduct/mailbox'
import { history } from './contract.ts'
import { HistoryFile } from './historyFile.ts'

const [path = 'history.jsonl', mail = 'history.mail'] = process.argv.slice(2)
const file = await HistoryFile.open(path)
const durable = await mailboxes({ root: mail, group: 'worker', receive: { retryDelayMs: 100 } })
const peer = await join()
peer.serve(
  history,
  {
    append: async (entry) => {
      await file.append(entry)
    },
    recent: ({ limit }) => file.recent(limit),
  },
  { durable },
)
