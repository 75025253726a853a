/** Node's primitives against the vectors of the documents that define them. */
import { describe, expect, it } from 'vitest'
import { fromBase64, toBase64 } from '../../src/codecs/bytes.ts'
import { nodePrimitives } from '../../src/index.ts'
import { fromHex, toHex } from '../wire/notation.ts'

const { crypto, compression } = nodePrimitives

describe('X25519 (RFC 7748)', () => {
  it('section 5.2: a scalar times a point', async () => {
    const cases = [
      [
        'a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4',
        'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
        'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
      ],
      [
        '4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d',
        'e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493',
        '95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957',
      ],
    ] as const
    for (const [scalar, point, product] of cases) {
      const pair = await crypto.agreementPair(fromHex(scalar))
      expect(toHex((await pair.agree(fromHex(point))) ?? new Uint8Array())).toBe(product)
    }
  })

  it('section 6.1: both ends get the same secret', async () => {
    const alice = await crypto.agreementPair(
      fromHex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'),
    )
    const bob = await crypto.agreementPair(
      fromHex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'),
    )
    expect(toHex(alice.publicKey)).toBe('8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a')
    expect(toHex(bob.publicKey)).toBe('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f')
    const secret = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742'
    expect(toHex((await alice.agree(bob.publicKey)) ?? new Uint8Array())).toBe(secret)
    expect(toHex((await bob.agree(alice.publicKey)) ?? new Uint8Array())).toBe(secret)
  })

  it('gives no secret for points of low order', async () => {
    const pair = await crypto.agreementPair()
    for (const point of [
      '00'.repeat(32),
      `01${'00'.repeat(31)}`,
      'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
      `ecff${'ff'.repeat(29)}7f`,
    ]) {
      expect(await pair.agree(fromHex(point))).toBeUndefined()
    }
    expect(await pair.agree(new Uint8Array(31))).toBeUndefined()
  })
})

describe('Ed25519 (RFC 8032, section 7.1)', () => {
  const cases = [
    [
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ],
    [
      '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ],
    [
      'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      'af82',
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    ],
  ] as const

  it.each(cases)('seed %s', async (seed, publicKey, message, signature) => {
    const pair = await crypto.signingPair(fromHex(seed))
    expect(toHex(pair.publicKey)).toBe(publicKey)
    expect(toHex(await pair.sign(fromHex(message)))).toBe(signature)
    expect(await crypto.verify(pair.publicKey, fromHex(message), fromHex(signature))).toBe(true)
  })

  it('verifies nothing else', async () => {
    const [, key, , signature] = cases[1]
    const forged = fromHex(signature)
    expect(await crypto.verify(fromHex(key), fromHex('73'), forged)).toBe(false)
    expect(await crypto.verify(fromHex(cases[0][1]), fromHex('72'), forged)).toBe(false)
    expect(await crypto.verify(fromHex(key), fromHex('72'), forged.subarray(1))).toBe(false)
    expect(await crypto.verify(new Uint8Array(7), fromHex('72'), forged)).toBe(false)
    forged[5] = (forged[5] ?? 0) ^ 1
    expect(await crypto.verify(fromHex(key), fromHex('72'), forged)).toBe(false)
  })
})

describe('HKDF-SHA256 (RFC 5869, appendix A)', () => {
  it.each([
    [
      '0b'.repeat(22),
      '000102030405060708090a0b0c',
      'f0f1f2f3f4f5f6f7f8f9',
      42,
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    ],
    [
      '0b'.repeat(22),
      '',
      '',
      42,
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    ],
  ] as const)('secret %s, salt %s, info %s', async (secret, salt, info, bytes, key) => {
    expect(toHex(await crypto.hkdf(fromHex(secret), fromHex(salt), fromHex(info), bytes))).toBe(key)
  })
})

describe('AES-256-GCM (McGrew and Viega, test cases 13 to 16)', () => {
  const key = 'feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308'
  const plain =
    'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255'
  const sealed =
    '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad'
  const covered = 'feedfacedeadbeeffeedfacedeadbeefabaddad2'
  const cases = [
    ['00'.repeat(32), '00'.repeat(12), '', '', '', '530f8afbc74536b9a963b4f1c4cb738b'],
    [
      '00'.repeat(32),
      '00'.repeat(12),
      '',
      '00'.repeat(16),
      'cea7403d4d606b6e074ec5d3baf39d18',
      'd0d1c8a799996bf0265b98b5d48ab919',
    ],
    [key, 'cafebabefacedbaddecaf888', '', plain, sealed, 'b094dac5d93471bdec1a502270e3cc6c'],
    [
      key,
      'cafebabefacedbaddecaf888',
      covered,
      plain.slice(0, -8),
      sealed.slice(0, -8),
      '76fc6ece0f4e1768cddf8853bb2d551b',
    ],
  ] as const

  it.each(cases)('key %s nonce %s covered %s', async (k, nonce, aad, text, cipher, tag) => {
    const made = await crypto.seal(fromHex(k), fromHex(nonce), fromHex(aad), fromHex(text))
    expect(toHex(made)).toBe(cipher + tag)
    expect(
      toHex((await crypto.open(fromHex(k), fromHex(nonce), fromHex(aad), made)) ?? fromHex('bad0')),
    ).toBe(text)
  })

  it('opens nothing with a short tag, another key, nonce or cover', async () => {
    const [k, nonce, aad] = [fromHex(key), fromHex('cafebabefacedbaddecaf888'), fromHex(covered)]
    const made = await crypto.seal(k, nonce, aad, fromHex(plain))
    expect(await crypto.open(k, nonce, aad, made)).toBeDefined()
    for (let cut = 1; cut < 16; cut++) {
      expect(await crypto.open(k, nonce, aad, made.subarray(0, -cut)), `${cut} bytes short`).toBeUndefined()
    }
    expect(await crypto.open(new Uint8Array(32), nonce, aad, made)).toBeUndefined()
    expect(await crypto.open(k, new Uint8Array(12), aad, made)).toBeUndefined()
    expect(await crypto.open(k, nonce, aad.subarray(1), made)).toBeUndefined()
    const nothing = await crypto.seal(k, nonce, aad, new Uint8Array(0))
    expect(await crypto.open(k, nonce, aad, nothing)).toEqual(new Uint8Array(0))
    for (let bytes = 0; bytes < 16; bytes++) {
      expect(
        await crypto.open(k, nonce, aad, nothing.subarray(0, bytes)),
        `a tag of ${bytes}`,
      ).toBeUndefined()
    }
  })
})

describe('raw deflate (RFC 1951)', () => {
  it('inflates what it deflated, up to its bound and no further', async () => {
    for (const size of [0, 1, 1024, 16_385, 1_000_000]) {
      const bytes = new Uint8Array(size).map((_, index) => index % 251)
      const deflated = await compression.deflate(bytes)
      const inflated = await compression.inflate(deflated, Math.max(1, size))
      expect(Buffer.from(inflated ?? 'none').equals(bytes)).toBe(true)
      if (size > 1) expect(await compression.inflate(deflated, size - 1)).toBeUndefined()
    }
  })

  it('throws on what is no deflate', async () => {
    const inflate = async (bytes: Uint8Array, maxBytes: number) => compression.inflate(bytes, maxBytes)
    for (const maxBytes of [100, 1_000_000]) {
      await expect(inflate(new Uint8Array([0xff, 1, 2]), maxBytes)).rejects.toThrow()
      await expect(inflate(new Uint8Array(0), maxBytes)).rejects.toThrow()
    }
  })
})

it('base64 is as everybody has it', () => {
  for (let length = 0; length < 70; length++) {
    const bytes = crypto.random(length)
    expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'))
    expect(Buffer.from(fromBase64(toBase64(bytes)) ?? 'none').equals(bytes)).toBe(true)
  }
  expect(fromBase64('a_b')).toBeUndefined()
})
