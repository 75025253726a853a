import { isViaductError } from '../../wire/errors.ts'
import { callExit, Failure } from '../failure.ts'
import type { Output } from '../output.ts'
import { type NamedTarget, type Session, targetText } from '../session.ts'
import { visibleLines } from '../text.ts'
import { bytesOf, toJson } from '../values.ts'

export interface CallOrder {
  readonly target: NamedTarget
  readonly method: string
  readonly input: unknown
  /** The method is a stream: what it returns in the end is a note, not data. */
  readonly stream: boolean
  /** Text and binary data as they are. */
  readonly raw: boolean
}

/**
 * Calls a method and prints its answer, or its items as they come. It asks for items in any case: a method
 * that is no stream answers without any, so nobody has to know beforehand.
 */
export async function call(session: Session, order: CallOrder): Promise<void> {
  const { out, timeoutMs } = session
  const { target, method, input, raw } = order
  const answer = session.peer.stream(method, input, { target, timeoutMs })
  let items = 0
  let output: unknown
  try {
    for await (const item of answer) {
      items++
      await print(out, item, raw, 0)
    }
    output = await answer.output
  } catch (error) {
    throw await failureOf(session, order, error, items)
  }
  if (items === 0 && !order.stream) {
    if (output !== undefined || out.json) await print(out, output, raw, 2)
  } else if (output !== undefined) {
    out.note(`the stream returned ${toJson(output)}`)
  }
}

async function print(out: Output, value: unknown, raw: boolean, indent: number): Promise<void> {
  if (raw) {
    const bytes = bytesOf(value)
    if (bytes) return out.write(bytes)
    if (typeof value === 'string') return out.write(value)
  }
  if (out.json) return out.value(value)
  await out.line(typeof value === 'string' ? visibleLines(value) : toJson(value, indent))
}

async function failureOf(
  session: Session,
  { target, method }: CallOrder,
  error: unknown,
  items: number,
): Promise<Failure> {
  const reason = isViaductError(error) ? error.reason : 'UNKNOWN'
  const next = session.peer.isClosed ? [] : await advice(session, target, method, reason)
  if (items > 0) next.unshift(`the stream failed after ${items} ${items === 1 ? 'item' : 'items'}`)
  const code = isViaductError(error) ? error.code : 'UNKNOWN'
  next.push(`viaduct explain ${/^[A-Z_]+$/.test(reason) ? reason : code}`)
  return new Failure(error instanceof Error ? error.message : String(error), {
    exit: callExit(error),
    next,
    cause: error,
  })
}

async function advice(
  session: Session,
  target: NamedTarget,
  method: string,
  reason: string,
): Promise<string[]> {
  switch (reason) {
    case 'TARGET_UNAVAILABLE':
      return session.adviceOnTarget(target)
    case 'METHOD_NOT_FOUND':
      return session.adviceOnMethod(target, method)
    case 'PERMISSION_DENIED': {
      const absent = await session.adviceOnTarget(target)
      if (method.startsWith('$hub.') || absent.length > 0) return absent
      const to = 'id' in target ? target.id : target.type
      const rule = `cli: { call: [{ method: '${method}', to: '${to}' }] }`
      return [`allow it in the hub's manifest: ${rule}`]
    }
    case 'DEADLINE_EXCEEDED':
      return [
        `viaduct ping${'id' in target ? ` ${targetText(target)}` : ''}`,
        'allow more time with --timeout 30s',
      ]
    default:
      return []
  }
}
