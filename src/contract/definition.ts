import { type Lane, type Method, type Overflow, untyped } from '../core/method.ts'
import type { StandardSchema } from './schema.ts'

/** What was declared of one method, stream or topic. */
export interface Definition {
  readonly kind: Method['kind']
  readonly input?: StandardSchema
  readonly output?: StandardSchema
  readonly item?: StandardSchema
  readonly upload?: StandardSchema
  readonly progress?: StandardSchema
  /** Topics only. */
  readonly data?: StandardSchema
  readonly errors?: { readonly [name: string]: StandardSchema | null }
  readonly version?: number
  readonly lane?: Lane
  readonly idempotent?: boolean
  readonly overflow?: Overflow
  readonly compress?: boolean | 'public'
  readonly sealed?: boolean
  readonly signed?: boolean
  readonly delivery?: 'at-least-once'
}

/** What the core is told of a declared method. */
export interface ContractMethod extends Method {
  readonly '~definition': Definition
}

/** A declared method without a shape: every body describes itself, and nothing is compared with the far end's. */
export function plainMethod(name: string, definition: Definition): ContractMethod {
  const { kind, item, upload } = definition
  // A stream without items of its own is answered once: a call with an upload.
  const answered = kind === 'stream' && !item ? 'call' : kind
  return { ...untyped(name, answered, upload !== undefined, definition), '~definition': definition }
}
