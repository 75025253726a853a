/** What a talk asks of the peer that it is played against, read off its steps. */
import { REASONS } from '../../src/wire/reasons.ts'
import { fromHex } from '../wire/notation.ts'
import { isObject, listOf, objectOf } from './frames.ts'

type Json = Record<string, unknown>

/** Parts of the protocol that an implementation may lack. */
export type Part =
  /** HELLO, PROOF and WELCOME, of either side. */
  | 'admission'
  /** To call others than the far end of the link. */
  | 'targets'
  /** To publish and to subscribe. */
  | 'topics'
  /** Functions as arguments: references and leases, and to call what came or to be called. */
  | 'functions'
  /** Bodies in a dictionary, and to say of a method that its fingerprint is the caller's. */
  | 'dictionaries'
  /** To tell a hub what is served, and is not any more. */
  | 'announcements'
  /** To answer whether whoever serves a method has said that it may run twice. */
  | 'idempotence'
  /** To go on over another path. */
  | 'moves'
  /** To make a frame that waits into a NOOP, rather than take it out. */
  | 'noops'

/** What the peer of web pages lacks: everything else of PROTOCOL.md it has. */
export const PAGE_LACKS: readonly Part[] = [
  'admission',
  'targets',
  'topics',
  'functions',
  'dictionaries',
  'announcements',
  'idempotence',
  'moves',
  'noops',
]

const ADMISSION = ['HELLO', 'PROOF', 'WELCOME']
const SUBSCRIBING = ['subscribe', 'publish', 'where']
const REFERENCES = 6

/** Whether a peer that lacks these parts, else that of web pages, can do all that a talk asks of it. */
export function playable(talk: Json, lacks: readonly Part[] = PAGE_LACKS): boolean {
  const needs = partsOf(talk)
  return lacks.every((part) => !needs.has(part))
}

/**
 * The parts that a talk needs. What any peer has to refuse needs none: a call in a dictionary that is answered with
 * SKEW, a function that no REFERENCES count, or BACK and a lease for a call without functions.
 */
export function partsOf(talk: Json): ReadonlySet<Part> {
  const parts = new Set<Part>()
  if ('admission' in talk || talk.side === 'hub') parts.add('admission')
  for (const described of [...listOf(talk.methods), ...listOf(talk.serves)]) {
    if (objectOf(described).kind === 'topic') parts.add('topics')
  }
  const steps = listOf(talk.steps).map(objectOf)
  for (const { in: _, ...step } of steps) {
    if (holdsKey(step, '$function')) parts.add('functions')
    if (SUBSCRIBING.includes(String(step.do))) parts.add('topics')
    if (step.target !== undefined) parts.add('targets')
    if (step.do === 'ask') parts.add('idempotence')
  }
  const outs = framesOf(steps, 'out')
  for (const frame of outs) {
    if (usesDictionary(frame) || saysSame(frame)) parts.add('dictionaries')
    if (announces(frame)) parts.add('announcements')
    if (frame.kind === 'NOOP') parts.add('noops')
  }
  for (const frame of framesOf(steps, 'in')) {
    if (usesDictionary(frame) && !outs.some((answer) => refusesSkew(answer, frame))) parts.add('dictionaries')
    if (countsReferences(frame)) parts.add('functions')
  }
  for (const { kind } of [...outs, ...framesOf(steps, 'in')]) {
    if (ADMISSION.includes(String(kind))) parts.add('admission')
    if (kind === 'MOVE') parts.add('moves')
  }
  return parts
}

function framesOf(steps: readonly Json[], way: 'in' | 'out'): Json[] {
  return steps.flatMap((step) => (Array.isArray(step[way]) ? step[way] : [step[way]]).filter(isObject))
}

function usesDictionary({ flags, shapes }: Json): boolean {
  return shapes !== undefined || listOf(flags).includes('DICTIONARY')
}

/** Of a ROUTE, whether it says of a method that the fingerprints are equal. */
function saysSame({ kind, body }: Json): boolean {
  return kind === 'ROUTE' && methodsOf(body).some((method) => listOf(method)[2] === true)
}

/** Of an OPEN, whether it is of the methods that tell a hub what is served. */
function announces({ kind, body }: Json): boolean {
  return (
    kind === 'OPEN' &&
    methodsOf(body).some((method) => ['$hub.serve', '$hub.withdraw'].includes(String(listOf(method)[1])))
  )
}

function refusesSkew(answer: Json, call: Json): boolean {
  return (
    call.kind === 'CALL' &&
    answer.kind === 'ERROR' &&
    answer.id === call.id &&
    answer.route === REASONS.SKEW.number
  )
}

/** Of a CALL, whether its head begins with REFERENCES: without it a function in the body is malformed. */
function countsReferences({ kind, head, payload, headBytes }: Json): boolean {
  if (kind !== 'CALL') return false
  const first = listOf(head)[0]
  if (first !== undefined) return objectOf(first).tag === REFERENCES
  return typeof payload === 'string' && Number(headBytes ?? 0) > 0 && fromHex(payload)[0] === REFERENCES
}

function methodsOf(body: unknown): unknown[] {
  return isObject(body) ? listOf(body.methods) : []
}

function holdsKey(value: unknown, key: string): boolean {
  if (Array.isArray(value)) return value.some((one) => holdsKey(one, key))
  if (!isObject(value)) return false
  return key in value || Object.values(value).some((one) => holdsKey(one, key))
}
