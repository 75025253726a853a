import type { Handler, Target } from '../core/call.ts'
import type { Interceptor } from '../core/interceptor.ts'
import type { Method } from '../core/method.ts'
import { Envelope } from '../wire/envelope.ts'
import { ViaductError } from '../wire/errors.ts'
import type { ContractMethod } from './definition.ts'

/** Handlers that open what comes for a sealed or signed method, and close what they give. */
const closing = new WeakSet<Handler>()

/** Whether its values may only travel sealed or signed. */
export function isProtected({ codecs }: Method): boolean {
  return codecs !== undefined && (codecs.sealed || codecs.signed)
}

/**
 * Refuses methods whose codecs nobody carries out here.
 *
 * @param place where among the policies the codecs have to stand: nearest to the link.
 * @throws ViaductError INVALID_ARGUMENT / CODEC_MISSING with the method's name as path
 */
export function checkCodecs(
  methods: Iterable<ContractMethod>,
  policies: readonly Interceptor[],
  place: 'first' | 'last',
): void {
  const at = policies.findIndex(({ policy }) => policy === 'codecs')
  const codec = policies[at]
  for (const method of methods) {
    if (!method.codecs) continue
    if (!codec) throw missing(method, 'add codecs() of viaduct/codecs to `policies`')
    if (at !== (place === 'first' ? 0 : policies.length - 1)) {
      throw missing(method, `codecs() must stand ${place} among these policies`)
    }
    if (isProtected(method) && !('protects' in codec && codec.protects)) {
      throw missing(method, 'give codecs() its `keys`')
    }
  }
}

/** Refuses sealed and signed methods towards anybody of a type: seals and signatures are for one. */
export function checkTarget(methods: Iterable<ContractMethod>, target: Target | undefined): void {
  if (!target || 'id' in target) return
  for (const method of methods) checkOne(method)
}

/** Refuses sealed and signed methods where more than one may be called. */
export function checkOne(method: Method): void {
  if (isProtected(method)) throw missing(method, 'it goes to one peer: give a client { id }', 'CODEC_TARGET')
}

/** Refuses to send what a sealed or signed method would show. */
export function checkClosed(method: Method, input: unknown): void {
  if (!(input instanceof Envelope)) checkMade(method)
}

/** The handler, which from here on may be served. */
export function closes(method: Method, handler: Handler): Handler {
  if (isProtected(method)) closing.add(handler)
  return handler
}

/** Refuses a handler that would answer a sealed or signed method for all to see. */
export function checkHandler(method: Method, handler: Handler): void {
  if (!closing.has(handler)) checkMade(method)
}

function checkMade(method: Method): void {
  if (isProtected(method)) throw missing(method, 'use client() and serve() with codecs() among `policies`')
}

function missing({ name, codecs }: Method, text: string, reason = 'CODEC_MISSING'): ViaductError {
  const asked = Object.entries(codecs ?? {}).flatMap(([what, is]) => (is ? [what] : []))
  return new ViaductError('INVALID_ARGUMENT', `${name}: the contract says ${asked.join(' and ')}: ${text}`, {
    reason,
    path: name,
  })
}
