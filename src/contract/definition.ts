import { type Lane, type Method, type MethodCodecs, type Overflow, untyped } from '../core/method.ts'
import { type Dictionary, makeDictionary, shapesOf } from '../wire/dictionary.ts'
import { fingerprint, type Json } from './fingerprint.ts'
import { jsonSchemaOf } from './jsonSchema.ts'
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

/** What the core is told of a declared method. Fingerprint and dictionaries are made when first asked for. */
export class ContractMethod implements Method {
  readonly name: string
  readonly kind: Method['kind']
  readonly upload: boolean
  readonly lane: Lane
  readonly idempotent: boolean
  readonly overflow: Overflow
  readonly codecs: MethodCodecs | undefined
  readonly '~definition': Definition
  #shape: Shape | undefined

  constructor(name: string, definition: Definition) {
    // A stream without items of its own is answered once: a call with an upload.
    const { kind, item, upload } = definition
    const base = untyped(name, kind === 'stream' && item === undefined ? 'call' : kind, upload !== undefined)
    this.name = name
    this.kind = base.kind
    this.upload = base.upload
    this.lane = definition.lane ?? base.lane
    this.idempotent = definition.idempotent ?? base.idempotent
    this.overflow = definition.overflow ?? base.overflow
    this.codecs = codecsOf(definition)
    this['~definition'] = definition
  }

  get fingerprint(): string {
    return this.#made.fingerprint
  }
  get input(): Dictionary {
    return this.#made.input
  }
  get output(): Dictionary {
    return this.#made.output
  }
  get item(): Dictionary {
    return this.#made.item
  }
  get uploadItem(): Dictionary {
    return this.#made.upload
  }

  get #made(): Shape {
    this.#shape ??= shapeOf(this.name, this.kind, this.upload, this['~definition'])
    return this.#shape
  }
}

function codecsOf({ compress, sealed = false, signed = false }: Definition): MethodCodecs | undefined {
  const compresses = compress === true || compress === 'public'
  return compresses || sealed || signed ? { compress: compresses, sealed, signed } : undefined
}

interface Shape {
  readonly fingerprint: string
  readonly input: Dictionary
  readonly output: Dictionary
  readonly item: Dictionary
  readonly upload: Dictionary
}

/**
 * What the sender checks (output, items) travels as the schema's output; what the receiver checks (input,
 * upload, a topic's data) as its input. What is published is what subscribers get, so a topic has one
 * dictionary for both.
 */
function shapeOf(name: string, kind: Method['kind'], upload: boolean, definition: Definition): Shape {
  const schemas = {
    input: jsonSchemaOf(definition.data ?? definition.input, 'input'),
    output: jsonSchemaOf(definition.output, 'output'),
    item: jsonSchemaOf(definition.item, 'output'),
    upload: jsonSchemaOf(definition.upload, 'input'),
    ...(definition.progress ? { progress: jsonSchemaOf(definition.progress, 'output') } : {}),
  }
  const errors = Object.keys(definition.errors ?? {})
  const codecs = Object.entries(codecsOf(definition) ?? {}).flatMap(([codec, is]) => (is ? [codec] : []))
  const input = dictionaryOf(schemas.input)
  return {
    fingerprint: fingerprint({
      name,
      kind,
      upload,
      errors,
      version: definition.version ?? null,
      codecs,
      ...(definition.delivery ? { delivery: definition.delivery } : {}),
      schemas,
    }),
    input,
    output: dictionaryOf(schemas.output),
    item: kind === 'topic' ? input : dictionaryOf(schemas.item),
    upload: dictionaryOf(schemas.upload),
  }
}

function dictionaryOf(schema: Json): Dictionary {
  return makeDictionary(schema === null ? [] : shapesOf(schema))
}
