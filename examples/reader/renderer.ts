import { join } from 'viaduct'
import { documents, pages } from './contract.ts'
import { parsePage } from './parse.ts'

const peer = await join()
const network = peer.client(documents, { type: 'network' })
peer.serve(pages, {
  async parse({ path }, call) {
    const { signal } = call
    const page = await parsePage(path, network.text({ path }, { signal }), {
      signal,
      onProgress: (chars) => {
        call.progress({ chars })
        peer.publish(pages.progress, { path, chars }, { key: path })
      },
    })
    peer.publish(pages.opened, { path, kind: page.kind })
    return page
  },
})
