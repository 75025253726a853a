import { hostClock } from '../../host/clock.ts'
import { messageOf } from '../../host/errno.ts'
import { nodeFiles } from '../../mailbox/files.ts'
import {
  Mailbox,
  type MailboxEvents,
  type MailMessage,
  type Receiver,
  type WaitForAckOptions,
} from '../../mailbox/index.ts'
import { isViaductError, ViaductError } from '../../wire/errors.ts'
import { Groups } from './groups.ts'
import { beating } from './heartbeats.ts'
import { Liveness, type LiveProcess } from './liveness.ts'
import type { IPCMessage, IPCMessageOf, IPCMessageType, IPCPayload } from './message.ts'
import { type EnhancedIPCOptions, type EnhancedSettings, readEnhancedOptions } from './options.ts'
import { invalidPayload, isOfType, isPayload } from './payloads.ts'

/** Gets every message of every group, as a whole. A message is done when what it returns has resolved. */
export type IPCCallback = (groupFolder: string, data: IPCMessage) => unknown

/** Gets the messages of one type, of every group. */
export type IPCHandler<Message extends IPCMessage> = (message: Message) => unknown

/** One process's side of the groups below a root: sends, and once started receives. */
export interface IPCSystem {
  readonly root: string
  /**
   * Resolves when the groups that were there at the start are watched; rejects when the root could not be read, which
   * is tried again. One that was not started waits for nothing.
   */
  readonly ready: Promise<void>
  /**
   * Messages of this type go to the handler, then to the next one of the type, then to the callback; one that throws
   * ends the attempt. Of S2's types only those with S2's payload; any other goes to `errors/`. What a type of your own
   * carries is unknown: check it.
   *
   * @returns takes it back
   */
  registerHandler<Type extends IPCMessageType>(
    type: Type,
    handler: IPCHandler<IPCMessageOf<Type>>,
  ): () => void
  /**
   * Stores a message; resolves to its id when it is as durable as asked. Whether anybody receives it, `waitForAck` and
   * the events tell.
   *
   * @throws ViaductError INVALID_ARGUMENT / INVALID_MESSAGE, and as `Mailbox.send`
   */
  send<Type extends IPCMessageType>(
    group: string,
    type: Type,
    payload: IPCPayload<Type>,
    requiresAck?: boolean,
  ): Promise<string>
  /** Resolves when the receiver has done the message. Throws as `Mailbox.waitForAck`. */
  waitForAck(id: string, options?: WaitForAckOptions): Promise<void>
  /** `ack`: a message that this process sent was done. `error`: no acknowledgement came; the message stays. */
  on<Event extends keyof MailboxEvents>(event: Event, listener: MailboxEvents[Event]): () => void
  /** Who sent a heartbeat to a group that this process receives, and when; default within 30,000 ms. */
  alive(options?: { readonly withinMs?: number }): LiveProcess[]
  /** Ends all of it; waits for handlers that run. */
  stop(): Promise<void>
}

const ALIVE_MS = 30_000
const BEAT_MS = 10_000
const STANDBY_MS = 1_000

export class EnhancedSystem implements IPCSystem {
  readonly #handlers = new Map<string, ((data: IPCMessage) => unknown)[]>()
  readonly #mailboxes = new Map<string, Promise<Mailbox>>()
  readonly #received = new Set<string>()
  /** Why a group cannot be received, as it was told. */
  readonly #told = new Map<string, string>()
  readonly #listeners: { readonly [E in keyof MailboxEvents]: Set<MailboxEvents[E]> } = {
    ack: new Set(),
    error: new Set(),
  }
  readonly #liveness = new Liveness(Date.now)
  #settings: EnhancedSettings = readEnhancedOptions()
  #callback: IPCCallback | undefined
  #groups: Groups | undefined
  #ready = Promise.resolve()
  #beats: (() => void)[] = []
  #stopping: Promise<void> | undefined

  get root(): string {
    return this.#settings.root
  }

  get ready(): Promise<void> {
    return this.#ready
  }

  get isStopped(): boolean {
    return this.#stopping !== undefined
  }

  /**
   * Begins to receive, in the background.
   *
   * @throws ViaductError INVALID_ARGUMENT / BAD_OPTION · FAILED_PRECONDITION / ALREADY_STARTED
   */
  start(callback: IPCCallback, options?: EnhancedIPCOptions): void {
    if (this.#groups) throw started('it receives already: stop() it first, or register handlers')
    const settings = readEnhancedOptions(options)
    const sending = JSON.stringify(this.#settings.mailbox)
    if (this.#mailboxes.size > 0 && JSON.stringify(settings.mailbox) !== sending) {
      throw started(`messages were sent by ${sending} before: start first, or with the same options`)
    }
    this.#settings = settings
    this.#callback = callback
    const { root, log } = settings
    this.#groups = new Groups({
      ...{ root, log, files: nodeFiles, clock: hostClock },
      onGroups: (groups) => this.#receive(groups),
    })
    this.#ready = this.#groups.start()
    this.#ready.then(
      () => log('info', 'Enhanced IPC system started', { root, groups: this.#received.size }),
      // Told by those who look.
      () => {},
    )
    const { groups = [], everyMs = BEAT_MS, status = () => 'active' } = settings.heartbeat ?? {}
    this.#beats = groups.map((group) => beating(() => this.#beat(group, status()), everyMs, hostClock))
  }

  registerHandler<Type extends IPCMessageType>(
    type: Type,
    handler: IPCHandler<IPCMessageOf<Type>>,
  ): () => void {
    const run = (data: IPCMessage): unknown => {
      if (!isOfType(data, type))
        throw Object.assign(invalidPayload(type, data.payload), { recoverable: false })
      return handler(data)
    }
    this.#handlers.set(type, [...(this.#handlers.get(type) ?? []), run])
    this.#settings.log('debug', 'IPC handler registered', { type })
    return () => {
      const others = (this.#handlers.get(type) ?? []).filter((other) => other !== run)
      if (others.length > 0) this.#handlers.set(type, others)
      else this.#handlers.delete(type)
    }
  }

  async send<Type extends IPCMessageType>(
    group: string,
    type: Type,
    payload: IPCPayload<Type>,
    requiresAck = false,
  ): Promise<string> {
    if (!isPayload(type, payload)) throw invalidPayload(type, payload)
    const mailbox = await this.#open(group)
    return mailbox.send(type, payload, { requiresAck })
  }

  async waitForAck(id: string, options?: WaitForAckOptions): Promise<void> {
    for (const opening of this.#mailboxes.values()) {
      const mailbox = await opening
      try {
        return await mailbox.waitForAck(id, options)
      } catch (error) {
        if (!isViaductError(error) || error.code !== 'NOT_FOUND') throw error
      }
    }
    throw new ViaductError(
      'NOT_FOUND',
      `${id}: this process waits for no acknowledgement of it: send it with one`,
    )
  }

  on<Event extends keyof MailboxEvents>(event: Event, listener: MailboxEvents[Event]): () => void {
    this.#listeners[event].add(listener)
    return () => void this.#listeners[event].delete(listener)
  }

  alive({ withinMs = ALIVE_MS }: { readonly withinMs?: number } = {}): LiveProcess[] {
    return this.#liveness.alive(withinMs)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#end()
    return this.#stopping
  }

  async #end(): Promise<void> {
    for (const end of this.#beats) end()
    await this.#groups?.stop()
    await Promise.all([...this.#mailboxes.keys()].map((group) => this.#close(group)))
  }

  /** Opened once for each group, for both directions. */
  #open(group: string): Promise<Mailbox> {
    if (this.#stopping) return Promise.reject(stopped())
    const known = this.#mailboxes.get(group)
    if (known) return known
    const opening = Mailbox.open({ ...this.#settings.mailbox, group }).then((mailbox) => {
      mailbox.on('ack', (id) => {
        for (const listener of this.#listeners.ack) listener(id)
      })
      mailbox.on('error', (error, id) => {
        for (const listener of this.#listeners.error) listener(error, id)
      })
      return mailbox
    })
    this.#mailboxes.set(group, opening)
    // The next one tries anew.
    opening.catch(() => this.#mailboxes.delete(group))
    return opening
  }

  async #close(group: string): Promise<void> {
    const opening = this.#mailboxes.get(group)
    this.#mailboxes.delete(group)
    this.#received.delete(group)
    const mailbox = await opening?.catch(() => undefined)
    await mailbox?.close()
  }

  /** Receives from those that are new, and lets go of those that are gone. */
  async #receive(groups: readonly string[]): Promise<void> {
    const gone = [...this.#received].filter((group) => !groups.includes(group))
    for (const group of this.#told.keys()) if (!groups.includes(group)) this.#told.delete(group)
    await Promise.all([
      ...gone.map((group) => this.#close(group)),
      ...groups.filter((group) => !this.#received.has(group)).map((group) => this.#watch(group)),
    ])
  }

  async #watch(group: string): Promise<void> {
    const { root, log, receive } = this.#settings
    try {
      const mailbox = await this.#open(group)
      const receiver = await mailbox.receive((message) => this.#handle(message), receive)
      this.#received.add(group)
      this.#told.delete(group)
      const standsBy = !(await isActive(receiver))
      const other = standsBy ? mailbox.receiverPid : undefined
      if (other !== undefined)
        log('warn', 'IPC group is received by another process; standing by', { group, receiver: other })
    } catch (error) {
      const why = messageOf(error)
      if (!this.#stopping && this.#told.get(group) !== why)
        log('error', 'IPC group cannot be received', { root, group, error: why })
      this.#told.set(group, why)
    }
  }

  async #handle(message: MailMessage): Promise<void> {
    const { id, type, groupFolder: group, requiresAck } = message
    const since = new Date().toISOString()
    const { ackTimeoutMs, log } = this.#settings
    const slow = () =>
      log('warn', 'IPC message is still being processed', { group, id, type, since, pid: process.pid })
    const cancel = requiresAck ? hostClock.after(ackTimeoutMs, slow) : () => {}
    try {
      this.#liveness.note(message)
      for (const handler of this.#handlers.get(type) ?? []) await handler(message)
      await this.#callback?.(group, message)
    } finally {
      cancel()
    }
  }

  async #beat(group: string, status: string): Promise<void> {
    await this.waitForAck(await this.send(group, 'heartbeat', { processId: process.pid, status }, true))
  }
}

/** Whether it is, after a while in which it would be if nobody else were. */
function isActive({ ready }: Receiver): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = hostClock.after(STANDBY_MS, () => resolve(false))
    // Why it cannot, if it cannot, it tells itself.
    const settled = (): void => {
      cancel()
      resolve(true)
    }
    ready.then(settled, settled)
  })
}

function started(why: string): ViaductError {
  return new ViaductError('FAILED_PRECONDITION', `startEnhancedIPC: ${why}`, { reason: 'ALREADY_STARTED' })
}

function stopped(): ViaductError {
  return new ViaductError('UNAVAILABLE', 'the IPC system was stopped: getIPCSystem() gives a new one', {
    reason: 'CLOSED',
    fate: 'not-sent',
  })
}
