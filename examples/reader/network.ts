import { join, ViaductError } from 'viaduct'
import { documents } from './contract.ts'
import { DocumentError } from './documentError.ts'
import { findDocuments, readLines, readText } from './read.ts'

const [root = process.cwd()] = process.argv.slice(2)
const peer = await join()
peer.serve(documents, {
  text: ({ path }, { signal }) => told(readText(path, { signal })),
  lines: ({ path }, { signal }) => told(readLines(path, { signal })),
  list: ({ max }) => findDocuments(root, { max }),
})

/** The same items; why a document cannot be read becomes an error that travels with its code and reason. */
async function* told<Item, Output>(items: AsyncGenerator<Item, Output>): AsyncGenerator<Item, Output> {
  try {
    return yield* items
  } catch (error) {
    if (!(error instanceof DocumentError)) throw error
    throw new ViaductError(error.code, error.message, { reason: error.reason })
  }
}
