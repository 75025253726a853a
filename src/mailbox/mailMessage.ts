import type { Arrival, MailMessage } from './message.ts'

let lastMs = 0
let lastTime = new Date(lastMs).toISOString()

/** Many messages are of the same millisecond. */
function isoTime(ms: number): string {
  if (ms !== lastMs) {
    lastTime = new Date(ms).toISOString()
    lastMs = ms
  }
  return lastTime
}

/** What a handler gets of an arrival. */
export function mailMessage(arrival: Arrival, payload: unknown, group: string): MailMessage {
  const { id, type, sentAtMs, requiresAck, priority, notBeforeMs, expiresAtMs, sender, sequence, redriven } =
    arrival
  const message: { -readonly [Field in keyof MailMessage]: MailMessage[Field] } = {
    id,
    type,
    groupFolder: group,
    payload,
    timestamp: isoTime(sentAtMs),
    requiresAck,
    priority,
  }
  if (sender !== '') {
    message.sender = sender
    message.sequence = sequence
  }
  if (notBeforeMs > 0) message.notBefore = isoTime(notBeforeMs)
  if (expiresAtMs > 0) message.expiresAt = isoTime(expiresAtMs)
  if (redriven > 0) message.redriven = redriven
  return message
}
