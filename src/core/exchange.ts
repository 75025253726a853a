/**
 * The exchange as a table (PROTOCOL.md, section 4). Caller, callee and hub all run it; nothing here does
 * input or output. `vectors/talks.json` replays it in every language.
 */
export const STATE = { idle: 0, open: 1, asked: 2, cancelled: 3, kept: 4 } as const

export const EVENT = {
  call: 0,
  callUpload: 1,
  itemUp: 2,
  endUp: 3,
  cancel: 4,
  itemDown: 5,
  endDown: 6,
  credit: 7,
  lost: 8,
  endKept: 9,
  back: 10,
  release: 11,
} as const

export const EFFECT = {
  none: 0,
  start: 1,
  deliver: 2,
  finish: 3,
  abort: 4,
  settle: 5,
  credit: 6,
  fail: 7,
  free: 8,
  late: 9,
  violation: 10,
  keep: 11,
  back: 12,
} as const

const EVENTS = 12
const TABLE = new Uint8Array(5 * EVENTS)

function row(state: number, cells: string): void {
  const states: Record<string, number> = STATE
  const effects: Record<string, number> = EFFECT
  cells.split('|').forEach((cell, event) => {
    const [next = '', effect = 'none'] = cell.trim().split(' ')
    const to = effect === 'violation' ? state : (states[next] ?? 0)
    TABLE[state * EVENTS + event] = to | ((effects[effect] ?? 0) << 4)
  })
}

//                  CALL         | CALL+UPLOAD | ITEM↑        | END↑         | CANCEL         | ITEM↓        | END↓ ERROR↓ | CREDIT       | link lost | END↓ with a lease | BACK | RELEASE↓
row(
  STATE.idle,
  '   asked start  | open start  | idle late    | idle late    | idle late      | idle late    | idle late   | idle late    | idle none | idle late | idle late | idle late',
)
row(
  STATE.open,
  '   - violation  | - violation | open deliver | asked finish | cancelled abort | open deliver | idle settle | open credit  | idle fail | kept keep | open back | open late',
)
row(
  STATE.asked,
  '  - violation  | - violation | - violation  | - violation  | cancelled abort | asked deliver | idle settle | asked credit | idle fail | kept keep | asked back | asked late',
)
row(
  STATE.cancelled,
  '- violation | - violation | cancelled late | cancelled late | cancelled late | cancelled late | idle free | cancelled late | idle free | cancelled late | cancelled late | idle free',
)
row(
  STATE.kept,
  '  - violation  | - violation | kept late    | kept late    | cancelled abort | kept late   | idle free   | kept late    | idle free | kept late | kept back | idle free',
)

/** One step: the low four bits are the next state, the rest the effect. */
export function step(state: number, event: number): number {
  return TABLE[state * EVENTS + event] as number
}

export function nextState(result: number): number {
  return result & 15
}

export function effectOf(result: number): number {
  return result >>> 4
}

const SLOT_BITS = 20
const SLOT_MASK = (1 << SLOT_BITS) - 1
/** Fewer than the wire has room for: ids below 2^30 are small integers in every engine, and others are slow. */
const GENERATIONS = 1 << 10
/** Exchanges that ids can tell apart. */
export const MAX_SLOTS = 1 << SLOT_BITS

export function slotOf(id: number): number {
  return id & SLOT_MASK
}

/**
 * The ids that one side of a link gives to its exchanges: slot and generation. A slot is handed out again
 * only after {@link free}, with the next generation, so a late frame can never hit a new exchange. Id 0
 * (slot 0, generation 0) means "none" on the wire, so slot 0 starts at generation 1.
 */
export class Slots {
  #limit: number
  readonly #generations: Uint16Array
  readonly #free: number[] = []
  #used = 0
  /** Exchanges open now. */
  open = 0

  constructor(limit: number) {
    this.#limit = limit
    this.#generations = new Uint16Array(limit)
    this.#generations[0] = 1
  }

  /** An id, or -1 when every slot is taken. */
  take(): number {
    let slot = this.#free.pop()
    if (slot === undefined) {
      if (this.#used === this.#limit) return -1
      slot = this.#used++
    }
    this.open++
    return (((this.#generations[slot] as number) << SLOT_BITS) | slot) >>> 0
  }

  free(id: number): void {
    const slot = id & SLOT_MASK
    const next = ((this.#generations[slot] as number) + 1) % GENERATIONS
    this.#generations[slot] = slot === 0 && next === 0 ? 1 : next
    this.#free.push(slot)
    this.open--
  }

  /** May only be lowered, and before slots past it are in use. */
  set limit(limit: number) {
    this.#limit = Math.min(this.#limit, Math.max(limit, this.#used))
  }
}
