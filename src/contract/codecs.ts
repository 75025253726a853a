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
    const { name } = method
    const asks = Object.entries(method.codecs).flatMap(([what, is]) => (is ? [what] : []))
    const asked = asks.join(' and ')
    if (!codec)
      throw missing(name, `the contract says ${asked}; add codecs() of viaduct/codecs to \`policies\``)
    if (at !== (place === 'first' ? 0 : policies.length - 1)) {
      throw missing(name, `codecs() must stand ${place} among these policies, next to the link`)
    }
    if (isProtected(method) && !('protects' in codec && codec.protects === true)) {
      throw missing(name, `the contract says ${asked}; give codecs() its \`keys\``)
    }
  }
}

/** Refuses sealed and signed methods towards anybody of a type: seals and signatures are for one. */
export function checkTarget(methods: Iterable<ContractMethod>, target: Target | undefined): void {
  if (!target || 'id' in target) return
  for (const method of methods) {
    if (!isProtected(method)) continue
    throw new ViaductError(
      'INVALID_ARGUMENT',
      `${method.name}: it is sealed or signed for one peer; give the client { id } instead of { type: '${target.type}' }`,
      { reason: 'CODEC_TARGET', path: method.name },
    )
  }
}

/** Refuses to send what a sealed or signed method would show. */
export function checkClosed(method: Method, input: unknown): void {
  if (isProtected(method) && !(input instanceof Envelope)) {
    throw missing(
      method.name,
      'it is sealed or signed; call it by a client() with codecs() among its `policies`',
    )
  }
}

/** Refuses sealed and signed methods where many are called at once. */
export function checkOne(method: Method): void {
  if (isProtected(method)) {
    throw missing(method.name, 'it is sealed or signed for one peer; call each by a client of its own')
  }
}

/** The handler, which from here on may be served. */
export function closes(method: Method, handler: Handler): Handler {
  if (isProtected(method)) closing.add(handler)
  return handler
}

/** Refuses a handler that would answer a sealed or signed method for all to see. */
export function checkHandler(method: Method, handler: Handler): void {
  if (isProtected(method) && !closing.has(handler)) {
    throw missing(
      method.name,
      'it is sealed or signed; serve its contract with codecs() among the `policies`',
    )
  }
}

function missing(method: string, text: string): ViaductError {
  return new ViaductError('INVALID_ARGUMENT', `${method}: ${text}`, { reason: 'CODEC_MISSING', path: method })
}
