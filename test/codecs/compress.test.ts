/** Compressed methods: only when it pays, no further than it may, and with those who know no codec. */
import { readFileSync } from 'node:fs'
import { deflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { contentOf } from '../../src/codecs/content.ts'
import { codecs } from '../../src/codecs/index.ts'
import { connectPeers, contract, method, nodePrimitives, stream, unchecked } from '../../src/index.ts'
import { CODEC, Envelope } from '../../src/wire/envelope.ts'
import { refusal } from '../support/hubRig.ts'
import { fromHex, same, toHex, valueFrom } from '../wire/notation.ts'
import { collect, each } from './rig.ts'

const primitives = nodePrimitives
const files = contract('files', {
  echo: method({ input: unchecked<unknown>(), output: unchecked<unknown>(), compress: true }),
  lines: stream({ input: z.number(), item: z.string(), output: z.string(), compress: true }),
  join: stream({ input: z.void(), upload: z.string(), output: z.string(), compress: true }),
})
const LONG = 'a line that is said again and again. '.repeat(200)
const NOISE = primitives.crypto.random(20_000)

function ends(maxInflatedBytes?: number) {
  const [a, b] = connectPeers()
  const bounds = maxInflatedBytes === undefined ? {} : { maxInflatedBytes }
  const callee = codecs({ primitives, ...bounds })
  const caller = codecs({ primitives, ...bounds })
  b.serve(
    files,
    {
      echo: (input) => input,
      async *lines(count) {
        for (let n = 0; n < count; n++) yield n % 2 === 0 ? LONG : 'short'
        return LONG
      },
      async join(_, call) {
        return (await collect(call.upload)).join('|')
      },
    },
    { policies: [callee] },
  )
  return { a, b, callee, caller, api: a.client(files, undefined, { policies: [caller] }) }
}

/** Bytes that went over the link while something was done. */
async function bytesOf(rig: ReturnType<typeof ends>, work: () => Promise<unknown>): Promise<number> {
  const count = (): number => rig.a.core.link.outbox.bytesWritten + rig.b.core.link.outbox.bytesWritten
  const before = count()
  await work()
  return count() - before
}

const vectors: {
  readonly contents: readonly { name: string; value: unknown; codec?: number; hex: string }[]
} = JSON.parse(readFileSync(new URL('../../vectors/values.json', import.meta.url), 'utf8'))

describe('vectors', () => {
  it.each(vectors.contents)('content: $name', async ({ value, codec, hex }) => {
    const described = valueFrom(value)
    if (codec === undefined) {
      expect(toHex(contentOf(described, files.echo, 'input', false))).toBe(hex)
    }
    const envelope = new Envelope(codec ?? 0, fromHex(hex))
    const [a, b] = connectPeers()
    let seen: unknown
    b.serve(
      files,
      {
        echo: (input) => {
          seen = input
        },
      },
      { partial: true, policies: [codecs({ primitives })] },
    )
    await a.call(files.echo, envelope)
    expect(same(seen, described)).toBe(true)
    a.close()
  })
})

describe('compression', () => {
  it('is used for what is over 1 KB and gets smaller by a tenth, both ways', async () => {
    const rig = ends()
    await rig.api.echo('')
    const both = await bytesOf(rig, async () => expect(await rig.api.echo(LONG)).toBe(LONG))
    expect(both).toBeLessThan(LONG.length / 5)
    expect(rig.caller.stats?.()).toMatchObject({ compressed: 1 })
    expect(rig.callee.stats?.()).toMatchObject({ compressed: 1 })
    for (const untouched of ['x'.repeat(1000), NOISE, null, { n: 1 }])
      expect(await rig.api.echo(untouched)).toEqual(untouched)
    expect(rig.caller.stats?.()).toMatchObject({ compressed: 1 })
    expect(rig.callee.stats?.()).toMatchObject({ compressed: 1 })
    rig.a.close()
  })

  it('is used for items, uploads and outputs, each where it pays', async () => {
    const rig = ends()
    const lines = rig.api.lines(4)
    expect(await collect(lines)).toEqual([LONG, 'short', LONG, 'short'])
    expect(await lines.output).toBe(LONG)
    expect(rig.callee.stats?.()).toMatchObject({ compressed: 3 })
    expect(await rig.api.join(undefined, { upload: each(LONG, 'x', LONG) })).toBe([LONG, 'x', LONG].join('|'))
    expect(rig.caller.stats?.()).toMatchObject({ compressed: 2 })
    rig.a.close()
  })

  it('keeps every value as it was, large binaries too', async () => {
    const rig = ends()
    const value = {
      text: LONG,
      big: new Uint8Array(10_000).fill(3),
      odd: new Float64Array(1000).fill(0.5),
      more: [new Uint8Array(4097), new Date(5), new Map([[1n, new Set(['x'])]]), undefined],
    }
    expect(await rig.api.echo(value)).toEqual(value)
    rig.a.close()
  })

  it('leaves those alone who know no codec', async () => {
    const rig = ends()
    expect(await rig.a.call('files.echo', LONG)).toBe(LONG)
    expect(await collect(rig.a.stream('files.lines', 1))).toEqual([LONG])
    expect(rig.callee.stats?.()).toMatchObject({ compressed: 0 })
    rig.a.close()
  })

  it('refuses functions with their path', async () => {
    const rig = ends()
    expect(await refusal(rig.api.echo({ list: [1, () => 2] }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'UNSENDABLE',
      path: 'input.list[1]',
    })
    rig.a.close()
  })

  it('a bomb is refused before it is inflated, at either end', async () => {
    const rig = ends()
    const bomb = new Envelope(CODEC.COMPRESSED, deflateRawSync(new Uint8Array(200 * 1024 * 1024)))
    expect(bomb.bytes.length).toBeLessThan(256 * 1024)
    const before = process.memoryUsage().rss
    const refused = await refusal(rig.a.call(files.echo, bomb))
    expect(refused).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'MESSAGE_TOO_LARGE', path: 'input' })
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
    rig.a.close()
    const small = ends(10_000)
    expect(await refusal(small.api.echo('x'.repeat(20_000)))).toMatchObject({ reason: 'MESSAGE_TOO_LARGE' })
    small.a.close()
    const [a, b] = connectPeers()
    b.handle('files.echo', () => bomb)
    const api = a.client(files, undefined, { policies: [codecs({ primitives })] })
    expect(await refusal(api.echo(1))).toMatchObject({ reason: 'MESSAGE_TOO_LARGE', path: 'output' })
    a.close()
  })

  it('what is no deflate, or no content, is refused as malformed', async () => {
    const rig = ends()
    const forged = [
      new Envelope(1, new Uint8Array([255, 255, 255])),
      new Envelope(1, new Uint8Array(0)),
      new Envelope(0, new Uint8Array(0)),
      new Envelope(0, new Uint8Array([255, 255, 255, 255, 0, 0, 0, 0])),
      new Envelope(0, new Uint8Array([1, 0, 0, 0, 255, 255, 0, 0])),
      new Envelope(1, deflateRawSync(new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0xff]))),
    ]
    for (const envelope of forged) {
      expect(await refusal(rig.a.call(files.echo, envelope))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'MALFORMED_BODY',
        path: 'input',
      })
    }
    expect(await refusal(rig.a.call(files.echo, new Envelope(2, new Uint8Array(100))))).toMatchObject({
      reason: 'TAMPERED',
    })
    rig.a.close()
  })
})
