import { describe, it } from 'vitest'
import { peerOver } from '../../src/page/peer.ts'
import { farEnd, faultLink, transportSuite } from '../../src/testing/index.ts'
import { memoryTransports } from '../../src/transports/memory.ts'

transportSuite(
  'memory',
  () => {
    const [near, right] = memoryTransports()
    return { near, far: farEnd(right, () => right.close('TRANSPORT_CLOSED')) }
  },
  { describe, it },
)

transportSuite(
  'memory, between pages',
  () => {
    const [near, right] = memoryTransports()
    return { near, far: farEnd(right, () => right.close('TRANSPORT_CLOSED'), peerOver) }
  },
  { describe, it },
  peerOver,
)

transportSuite(
  'a link that splits at 7 bytes',
  () => {
    const link = faultLink({ splitEvery: 7 })
    return { near: link.ends[0], far: farEnd(link.ends[1], () => link.cut()) }
  },
  { describe, it },
)
