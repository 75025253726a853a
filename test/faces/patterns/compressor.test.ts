/** Compressed messages: when they pay, and what is not let in. */
import { deflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { MessageCompressor, ProcessMessage } from '../../../src/faces/patterns/index.ts'
import { pack } from '../../../src/wire/packed.ts'
import { errorOf } from '../../core/rig.ts'

const compressor = new MessageCompressor()
const compressed = (name: string, bytes: Uint8Array) =>
  ProcessMessage.from('compressed_message', [name, bytes])

describe('MessageCompressor', () => {
  it('compresses from 1 KB on, where it pays, and gives back what it was given', async () => {
    const message = ProcessMessage.from('ai_result', [
      'x'.repeat(2_000),
      1,
      null,
      new Uint8Array(9_000).fill(7),
      [true],
    ])
    const small = await compressor.compress(message)
    expect(small.getName()).toBe('compressed_message')
    expect(small.getArgumentList().getString(0)).toBe('ai_result')
    expect(small.getSize()).toBeLessThan(300)
    const again = await compressor.decompress(small)
    expect(again.getName()).toBe('ai_result')
    expect(again.getArgumentList().values).toEqual(message.getArgumentList().values)
  })

  it('leaves alone what is small, random or compressed already', async () => {
    const noise = new Uint8Array(4_000)
    crypto.getRandomValues(noise)
    for (const message of [
      ProcessMessage.from('m', ['x'.repeat(900)]),
      ProcessMessage.from('m', [noise]),
      ProcessMessage.from('compressed_message', ['m', 'x'.repeat(4_000)]),
    ]) {
      expect(await compressor.compress(message)).toBe(message)
    }
    const plain = ProcessMessage.create('m')
    expect(await compressor.decompress(plain)).toBe(plain)
    const eager = new MessageCompressor({ minBytes: 1 })
    expect((await eager.compress(ProcessMessage.from('m', ['x'.repeat(200)]))).getName()).toBe(
      'compressed_message',
    )
  })

  it('inflates nothing beyond its bound', async () => {
    const bomb = deflateRawSync(new Uint8Array(64 * 1024 * 1024))
    expect(bomb.length).toBeLessThan(100_000)
    const before = process.memoryUsage().rss
    expect(await errorOf(compressor.decompress(compressed('m', bomb)))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'MESSAGE_TOO_LARGE',
    })
    expect(process.memoryUsage().rss - before).toBeLessThan(48 * 1024 * 1024)
    const tight = new MessageCompressor({ maxBytes: 2_000 })
    const message = await compressor.compress(ProcessMessage.from('m', ['x'.repeat(3_000)]))
    expect(await errorOf(tight.decompress(message))).toMatchObject({ reason: 'MESSAGE_TOO_LARGE' })
  })

  it.each([
    ['bytes that are no deflate', 'm', new Uint8Array([255, 255]), 'MALFORMED_BODY'],
    ['a value that is cut', 'm', deflateRawSync(pack(['text']).subarray(0, 10)), 'MALFORMED_BODY'],
    ['what is no list of arguments', 'm', deflateRawSync(pack({ a: 1 })), 'INVALID_INPUT'],
    ['a compressed message', 'compressed_message', deflateRawSync(pack([])), 'BAD_METHOD'],
    ['a hub’s method', '$hub.stop', deflateRawSync(pack([])), 'BAD_METHOD'],
  ])('refuses %s within', async (_, name, bytes, reason) => {
    expect(await errorOf(compressor.decompress(compressed(name, bytes)))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason,
    })
  })
})
