import { join } from 'viaduct'
import { history } from './contract.ts'
import { HistoryFile } from './historyFile.ts'

const [path = 'history.jsonl'] = process.argv.slice(2)
const file = await HistoryFile.open(path)
const peer = await join()
peer.serve(history, {
  append: async (entry) => ({ stored: await file.append(entry) }),
  recent: ({ limit }) => file.recent(limit),
})
