import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { nears, whole } from '../core/rig.ts'
import { listOf, objectOf, textOf } from '../support/frames.ts'
import { playable } from '../support/playable.ts'
import { TalkPlayer } from '../support/talk.ts'

const file: unknown = JSON.parse(readFileSync(new URL('../../vectors/talks.json', import.meta.url), 'utf8'))
const talks = listOf(objectOf(file).talks).map(objectOf)

const crypto = {
  mac(key: Uint8Array, ...parts: readonly (string | Uint8Array)[]): Uint8Array {
    const hmac = createHmac('sha256', key)
    for (const part of parts) hmac.update(part)
    return new Uint8Array(hmac.digest())
  },
}

describe('vectors/talks.json', () => {
  it('names each talk once', () => {
    expect(new Set(talks.map(({ name }) => name)).size).toBe(talks.length)
    expect(talks.length).toBeGreaterThanOrEqual(80)
  })

  it('are half for any peer, be it without the parts that a page’s lacks', () => {
    expect(talks.filter((talk) => playable(talk)).length).toBeGreaterThanOrEqual(80)
  })
})

describe.each(nears)('vectors/talks.json ($name)', ({ near }) => {
  const played = near === whole ? talks : talks.filter((talk) => playable(talk))
  for (const talk of played) it(textOf(talk.name), () => new TalkPlayer(talk, crypto, near).play())
})
