import type { Files } from '../../src/mailbox/files.ts'
import { LogInbox, type LogInboxOptions } from '../../src/mailbox/logInbox.ts'
import { LogOutbox, type LogOutboxOptions } from '../../src/mailbox/logOutbox.ts'
import type { Arrival, Outgoing } from '../../src/mailbox/message.ts'
import type { Settled } from '../../src/mailbox/store.ts'
import { VirtualClock } from '../../src/testing/virtualClock.ts'

export const FOLDER = '/root/main'

export function outgoing(id: string, more: Partial<Outgoing> = {}): Outgoing {
  return {
    id,
    type: 'task',
    sentAtMs: 1_700_000_000_000,
    requiresAck: false,
    priority: 'normal',
    notBeforeMs: 0,
    expiresAtMs: 0,
    redriven: 0,
    format: 'json',
    body: bodyOf(id),
    ...more,
  }
}

export function bodyOf(id: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ of: id, text: 'x'.repeat(id.length * 3) }))
}

export function outbox(files: Files, sender: string, more: Partial<LogOutboxOptions> = {}): LogOutbox {
  return new LogOutbox({ folder: FOLDER, sender, files, owner: 0, clock: new VirtualClock(), ...more })
}

export function inbox(files: Files, name: string, more: Partial<LogInboxOptions> = {}): LogInbox {
  return new LogInbox({
    folder: FOLDER,
    name,
    files,
    owner: 0,
    clock: new VirtualClock(),
    isRunning: () => true,
    ...more,
  })
}

export async function drained(from: LogInbox, max = 7): Promise<Arrival[]> {
  const all: Arrival[] = []
  for (;;) {
    const found = await from.next(max)
    if (found.length === 0) return all
    all.push(...found)
  }
}

export function over(arrivals: readonly Arrival[]): Settled[] {
  return arrivals.map((arrival) => ({ arrival, acknowledge: false }))
}

/** Lets everything that runs on a disk in memory come to rest. */
export async function rest(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}
