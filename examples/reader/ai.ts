import { join } from 'viaduct'
import { analysis } from './contract.ts'
import { Language } from './language.ts'
import { TEXT_CHARS } from './limits.ts'

const language = new Language()
const peer = await join()
peer.serve(analysis, {
  analyze: (input, call) => {
    if (input.text.length > TEXT_CHARS) throw call.error('TooLong', { max: TEXT_CHARS })
    return language.analyze(input, call.signal)
  },
})
