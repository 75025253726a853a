/** A mailbox of the folder store in a folder of its own, and a receiver's journal of the simplest kind. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FolderInbox, type FolderInboxOptions } from '../../src/mailbox/folderInbox.ts'
import { FolderOutbox, type FolderOutboxOptions } from '../../src/mailbox/folderOutbox.ts'
import type { Arrival, Outgoing } from '../../src/mailbox/message.ts'
import type { Inbox } from '../../src/mailbox/store.ts'

export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

export function outgoing(id: string, payload: unknown, more: Partial<Outgoing> = {}): Outgoing {
  return {
    id,
    type: 'task',
    sentAtMs: Date.UTC(2024, 0, 1),
    requiresAck: false,
    priority: 'normal',
    notBeforeMs: 0,
    expiresAtMs: 0,
    redriven: 0,
    format: 'json',
    body: new TextEncoder().encode(JSON.stringify(payload)),
    ...more,
  }
}

export class FolderMailbox {
  readonly folder = mkdtempSync(join(tmpdir(), 'vf-'))
  readonly logged: string[] = []
  readonly over = new Set<string>()
  readonly gone: string[] = []
  readonly #open: { close(): Promise<void> }[] = []

  path(...names: string[]): string {
    return join(this.folder, ...names)
  }

  async outbox(more: Partial<FolderOutboxOptions> = {}): Promise<FolderOutbox> {
    const log = (_level: string, said: string) => void this.logged.push(said)
    const outbox = await FolderOutbox.open({ folder: this.folder, group: 'main', log, ...more })
    this.#open.push(outbox)
    return outbox
  }

  async inbox(more: Partial<FolderInboxOptions> = {}): Promise<FolderInbox> {
    const inbox = await FolderInbox.open({
      folder: this.folder,
      group: 'main',
      isOver: (sender, sequence) => this.over.has(`${sender} ${sequence}`),
      onSenderGone: (sender) => void this.gone.push(sender),
      log: (_level, said) => void this.logged.push(said),
      ...more,
    })
    this.#open.push(inbox)
    return inbox
  }

  /** As a receiver does: first its journal, then the store. */
  async settle(inbox: Inbox, arrivals: readonly Arrival[]): Promise<void> {
    for (const { sender, sequence } of arrivals) this.over.add(`${sender} ${sequence}`)
    await inbox.settled(arrivals.map((arrival) => ({ arrival, acknowledge: arrival.fault === undefined })))
  }

  async close(): Promise<void> {
    for (const one of this.#open) await one.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Takes until nothing comes any more. */
export async function all(inbox: Inbox): Promise<Arrival[]> {
  const found: Arrival[] = []
  for (;;) {
    const more = await inbox.next(1000)
    if (more.length === 0) return found
    found.push(...more)
  }
}

/** Tries until it holds; what it waits for has no event. */
export async function until(holds: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  const end = performance.now() + ms
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`it did not come within ${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
