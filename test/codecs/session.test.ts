/** What is authenticated beside the content: each of it, changed at one end, is TAMPERED. */
import { describe, expect, it } from 'vitest'
import { Session, type SessionParts } from '../../src/codecs/session.ts'
import { untyped } from '../../src/core/method.ts'
import { type Method, nodePrimitives } from '../../src/index.ts'
import { Envelope } from '../../src/wire/envelope.ts'
import { refusal } from '../support/hubRig.ts'

const { crypto } = nodePrimitives
const content = { bits: 0, bytes: new Uint8Array([1, 2, 3]) }
const until = Number.POSITIVE_INFINITY
const bytes = (byte: number, length = 16): Uint8Array => new Uint8Array(length).fill(byte)

function methodOf(name: string, sealed: boolean): Method {
  // Two methods of one fingerprint: it proves nothing.
  const codecs = { compress: true, sealed, signed: !sealed }
  return { ...untyped(name), fingerprint: '0123456789abcdef', codecs }
}

async function ends(
  changed: Partial<{
    callerId: string
    calleeId: string
    callee: Uint8Array
    secret: Uint8Array
    transcript: Uint8Array
  }> = {},
) {
  const [a, b] = [await crypto.signingPair(bytes(1, 32)), await crypto.signingPair(bytes(2, 32))]
  const shared = { crypto, expires: until, rekeyMessages: 100, secret: bytes(9, 32), transcript: bytes(8) }
  const near = { id: 'main', session: bytes(3), identity: { pair: a, until } }
  const far = { id: 'ai-1', session: bytes(4), key: { bytes: b.publicKey, until } }
  const callee: SessionParts = {
    ...shared,
    ...(changed.secret ? { secret: changed.secret } : {}),
    ...(changed.transcript ? { transcript: changed.transcript } : {}),
    direction: 'answer',
    near: {
      id: changed.calleeId ?? 'ai-1',
      session: changed.callee ?? bytes(4),
      identity: { pair: b, until },
    },
    far: { id: changed.callerId ?? 'main', session: bytes(3), key: { bytes: a.publicKey, until } },
  }
  return { caller: new Session({ ...shared, direction: 'call', near, far }), callee: new Session(callee) }
}

describe.each([true, false])('sealed: %s', (sealed) => {
  const method = methodOf('a.b', sealed)
  const pass = async (changed: Parameters<typeof ends>[0], at: Method = method) => {
    const { caller, callee } = await ends(changed)
    const envelope = await caller.protect(caller.begin(method), 'input', 0, content)
    return callee.open(at, ['input'], envelope)
  }

  it('opens what is as it was', async () => {
    expect(await pass({})).toMatchObject({ part: 'input', sequence: 1, index: 0, bytes: content.bytes })
  })

  it('refuses another sender, receiver, session of the receiver, method, part or codec', async () => {
    const tampered = { code: 'UNAUTHENTICATED', reason: 'TAMPERED' }
    expect(await refusal(pass({ callerId: 'other' }))).toMatchObject(tampered)
    expect(await refusal(pass({ calleeId: 'ai-2' }))).toMatchObject(tampered)
    expect(await refusal(pass({ callee: bytes(5) }))).toMatchObject(tampered)
    expect(await refusal(pass({}, methodOf('a.c', sealed)))).toMatchObject(tampered)
    const { caller, callee } = await ends()
    const envelope = await caller.protect(caller.begin(method), 'input', 0, content)
    expect(await refusal(callee.open(method, ['upload'], envelope))).toMatchObject(tampered)
    const compressed = new Envelope(envelope.codec | 1, envelope.bytes)
    expect(await refusal(callee.open(method, ['input'], compressed))).toMatchObject(tampered)
    expect(
      await refusal(
        callee.open(method, ['input'], new Envelope(envelope.codec, envelope.bytes.subarray(0, 60))),
      ),
    ).toMatchObject(tampered)
    expect(await refusal(caller.open(method, ['input'], envelope))).toMatchObject(tampered)
  })
})

it('keys rest on the secret, and on all that was said to agree on it', async () => {
  const method = methodOf('a.b', true)
  for (const changed of [{ secret: bytes(7, 32) }, { transcript: bytes(7) }]) {
    const { caller, callee } = await ends(changed)
    const envelope = await caller.protect(caller.begin(method), 'input', 0, content)
    expect(await refusal(callee.open(method, ['input'], envelope))).toMatchObject({ reason: 'TAMPERED' })
  }
})
