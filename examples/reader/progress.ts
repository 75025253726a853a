import { type Screen, truncate, visible } from './terminal.ts'

const BAR_COLUMNS = 24
/** A terminal's line is drawn again at most this often. */
const REDRAW_MS = 50
/** Elsewhere a line is written at most this often, and at each tenth of the whole. */
const LINE_MS = 2_000

/**
 * Progress of a known number of documents on standard error. On a terminal one line that is drawn over
 * again; elsewhere (a log, a pipe) sparse lines: at each tenth, and while nothing finishes every 2 s.
 */
export class ProgressBar {
  readonly #screen: Screen
  readonly #total: number
  readonly #now: () => number
  #done = 0
  #drawn = false
  #lastAt = Number.NEGATIVE_INFINITY
  #lastTenth = -1

  constructor(total: number, screen: Screen = process.stderr, now: () => number = () => performance.now()) {
    this.#total = total
    this.#screen = screen
    this.#now = now
  }

  /** `note` says what is under way, as the name of a file; it is made safe here. */
  update(done: number, note = ''): void {
    this.#done = Math.min(this.#total, Math.max(this.#done, done))
    if (this.#screen.isTTY === true) this.#redraw(note, this.#done === this.#total)
    else this.#line(note)
  }

  /** Writes a whole line above the bar. */
  say(text: string): void {
    this.#clear()
    this.#screen.write(`${text}\n`)
    this.#lastAt = Number.NEGATIVE_INFINITY
  }

  /** Takes the bar off the screen. Nothing is drawn after it unless {@link update} is called again. */
  finish(): void {
    this.#clear()
  }

  #redraw(note: string, last: boolean): void {
    const now = this.#now()
    if (!last && now - this.#lastAt < REDRAW_MS) return
    this.#lastAt = now
    const share = this.#total === 0 ? 1 : this.#done / this.#total
    const full = Math.round(share * BAR_COLUMNS)
    const bar = '█'.repeat(full) + '░'.repeat(BAR_COLUMNS - full)
    const text = `${bar} ${this.#done}/${this.#total} ${visible(note)}`
    this.#screen.write(`\r\u001b[K${truncate(text.trimEnd(), (this.#screen.columns ?? 80) - 1)}`)
    this.#drawn = true
  }

  #line(note: string): void {
    const now = this.#now()
    const tenth = this.#total === 0 ? 10 : Math.floor((this.#done * 10) / this.#total)
    if (tenth === this.#lastTenth && now - this.#lastAt < LINE_MS) return
    this.#lastTenth = tenth
    this.#lastAt = now
    this.#screen.write(`${this.#done} of ${this.#total} ${visible(note)}`.trimEnd().concat('\n'))
  }

  #clear(): void {
    if (this.#drawn) this.#screen.write('\r\u001b[K')
    this.#drawn = false
  }
}
