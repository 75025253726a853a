/** Why links close (PROTOCOL.md, section 8); the index is the number on the wire. */
export const CLOSE_REASONS = [
  'TRANSPORT_CLOSED',
  'PROTOCOL_ERROR',
  'VERSION_MISMATCH',
  'UNAUTHENTICATED',
  'ADMISSION_TIMEOUT',
  'MESSAGE_TOO_LARGE',
  'HEARTBEAT_LOST',
  'GOING_AWAY',
  'REPLACED',
  'DENIED',
] as const
export type CloseReason = (typeof CLOSE_REASONS)[number]

export function isCloseReason(text: string): text is CloseReason {
  return CLOSE_REASONS.some((reason) => reason === text)
}

/** The reason behind a GOAWAY's number; unknown ones of a newer peer read as PROTOCOL_ERROR. */
export function closeReason(number: number): CloseReason {
  return CLOSE_REASONS[number] ?? 'PROTOCOL_ERROR'
}
