import type { Clock } from '../core/clock.ts'
import { errnoOf, messageOf } from '../host/errno.ts'
import { Fifo } from './fifo.ts'
import type { Files } from './files.ts'
import type { FolderLayout } from './folderLayout.ts'
import type { MailboxLog } from './options.ts'
import type { SpareTaker } from './spareFiles.ts'
import { Turns } from './turns.ts'
import { placeFile, removeIfThere } from './wholeFile.ts'

const FIRST_DELAY_MS = 100
/** Sends that wait for the journal come first: many of them are written at once, and files one by one. */
const TURN_MS = 1
const LAST_DELAY_MS = 5_000
/** Failures in a row after which it is no passing one. */
const STUCK_AFTER = 3

/** A file to be made. */
export interface Job {
  readonly id: string
  readonly sequence: number
  bytes(): Uint8Array
  /** Told once, when it is there. */
  made(): void
  /** Told of a failure. Where it is absent the file is tried again, and those behind it wait. */
  readonly failed?: (error: unknown) => void
}

export interface FolderWriterOptions {
  readonly files: Files
  readonly layout: FolderLayout
  readonly spares: SpareTaker
  readonly owner: string
  readonly clock: Clock
  readonly log: MailboxLog
  /** Told each time that the first file could not be made, and those behind it wait. */
  readonly onFailure: () => void
}

/** Makes the files of one sender in `messages/`, strictly one after another: who sees one finds all before it. */
export class FolderWriter {
  readonly #options: FolderWriterOptions
  readonly #jobs = new Fifo<Job>()
  #running: Promise<void> | undefined
  #failure: unknown
  #failures = 0
  #closed = false
  #wake: () => void = () => {}

  constructor(options: FolderWriterOptions) {
    this.#options = options
  }

  /** Why the file that is first cannot be made; undefined while it is only slow, or may have failed in passing. */
  get stuckBy(): unknown {
    return this.#failures < STUCK_AFTER ? undefined : this.#failure
  }

  add(job: Job): void {
    this.#jobs.push(job)
    this.#running ??= this.#run()
  }

  /** Settles when all files are made, or one of them could not be once more. */
  async close(): Promise<void> {
    this.#closed = true
    this.#wake()
    await this.#running
  }

  async #run(): Promise<void> {
    // What is stored in this turn of the loop goes together.
    await Promise.resolve()
    const turns = new Turns(TURN_MS)
    let delayMs = FIRST_DELAY_MS
    for (let job = this.#jobs.first; job; job = this.#jobs.first) {
      try {
        const placing = this.#place(job)
        if (placing) await placing
        this.#failure = undefined
        this.#failures = 0
        delayMs = FIRST_DELAY_MS
        this.#jobs.shift()
        job.made()
      } catch (error) {
        if (job.failed) {
          this.#jobs.shift()
          job.failed(error)
        } else {
          this.#report(job, error)
          this.#failure = error
          this.#failures++
          this.#options.onFailure()
          if (this.#closed) break
          await this.#pause(delayMs)
          delayMs = Math.min(delayMs * 2, LAST_DELAY_MS)
        }
      }
      if (turns.over) await turns.next()
    }
    this.#running = undefined
  }

  #place(job: Job): void | Promise<void> {
    const { files, layout, spares, owner } = this.#options
    const target = layout.message(job.id)
    const bytes = job.bytes()
    if (spares.place(target, bytes)) return undefined
    try {
      const placing = placeFile(files, layout.unfinished(owner, job.sequence), target, bytes)
      return placing ? placing.catch((error) => this.#mend(job, error)) : undefined
    } catch (error) {
      return this.#mend(job, error)
    }
  }

  /** Puts right what can be, and tries once more. */
  async #mend(job: Job, error: unknown): Promise<void> {
    const { files, layout, owner } = this.#options
    const unfinished = layout.unfinished(owner, job.sequence)
    const code = errnoOf(error)
    if (code === 'ENOENT') await layout.make(files)
    else if (code === 'EEXIST') removeIfThere(files, unfinished)
    else throw error
    await placeFile(files, unfinished, layout.message(job.id), job.bytes())
  }

  #report(job: Job, error: unknown): void {
    if (this.#failure !== undefined && errnoOf(this.#failure) === errnoOf(error)) return
    const text =
      'a message is safe in the journal and its file cannot be made; free the disk or mend its rights'
    this.#options.log('error', text, {
      id: job.id,
      folder: this.#options.layout.messages,
      error: messageOf(error),
    })
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(ms, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}
