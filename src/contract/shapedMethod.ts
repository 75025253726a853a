import type { Lane, Method, MethodCodecs, Overflow } from '../core/method.ts'
import { type Dictionary, makeDictionary, shapesOf } from '../wire/dictionary.ts'
import { type ContractMethod, type Definition, plainMethod } from './definition.ts'
import { fingerprint, type Json } from './fingerprint.ts'
import { jsonSchemaOf } from './jsonSchema.ts'

/** A declared method with its fingerprint and dictionaries, which are made when first asked for. */
export class ShapedMethod implements ContractMethod {
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
    const plain = plainMethod(name, definition)
    this.name = name
    this.kind = plain.kind
    this.upload = plain.upload
    this.lane = plain.lane
    this.idempotent = plain.idempotent
    this.overflow = plain.overflow
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
    this.#shape ??= shapeOf(this)
    return this.#shape
  }
}

function codecsOf({
  compress = false,
  sealed = false,
  signed = false,
}: Definition): MethodCodecs | undefined {
  return compress || sealed || signed ? { compress: compress !== false, sealed, signed } : undefined
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
function shapeOf({ name, kind, upload, codecs, '~definition': definition }: ContractMethod): Shape {
  const schemas = {
    input: jsonSchemaOf(definition.data ?? definition.input, 'input'),
    output: jsonSchemaOf(definition.output, 'output'),
    item: jsonSchemaOf(definition.item, 'output'),
    upload: jsonSchemaOf(definition.upload, 'input'),
    ...(definition.progress ? { progress: jsonSchemaOf(definition.progress, 'output') } : {}),
  }
  const errors = Object.keys(definition.errors ?? {})
  const asked = Object.entries(codecs ?? {}).flatMap(([codec, is]) => (is ? [codec] : []))
  const input = dictionaryOf(schemas.input)
  return {
    fingerprint: fingerprint({
      name,
      kind,
      upload,
      errors,
      version: definition.version ?? null,
      codecs: asked,
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
