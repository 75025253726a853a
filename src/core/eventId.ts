/** A place in the events of one hub: all that was published up to an event. */
export interface EventPosition {
  /** The hub's session: numbers of another one say nothing here. */
  readonly session: string
  /** Of the event among all that the hub has published. */
  readonly number: number
  /** Of the event within its topic. */
  readonly sequence: number
}

const EVENT_ID = /^([0-9a-f]{32})\.(0|[1-9]\d{0,15})\.(0|[1-9]\d{0,15})$/

/** The id of an event as programs keep it: `session.number.sequence`. */
export function eventId(session: string, number: number | bigint, sequence: number | bigint): string {
  return `${session}.${number}.${sequence}`
}

/** Reads an event id; undefined when it is none. */
export function positionOf(id: unknown): EventPosition | undefined {
  const [, session, number, sequence] = (typeof id === 'string' && EVENT_ID.exec(id)) || []
  if (session === undefined) return undefined
  const position = { session, number: Number(number), sequence: Number(sequence) }
  return Number.isSafeInteger(position.number) && Number.isSafeInteger(position.sequence)
    ? position
    : undefined
}
