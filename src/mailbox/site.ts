import { join } from 'node:path'
import { ViaductError } from '../wire/errors.ts'
import type { DeadLetters } from './deadLetters.ts'
import type { MailboxSettings, ReceiveSettings } from './options.ts'
import type { Station } from './receiver.ts'
import type { Outbox } from './store.ts'

/** One mailbox's folder, and what stands in it. */
export interface Site {
  readonly folder: string
  outbox(): Promise<Outbox>
  /** Becomes its active receiver; undefined while another one is. */
  takeOver(settings: ReceiveSettings, deadLetters: DeadLetters): Promise<Station | undefined>
}

/** @throws ViaductError FAILED_PRECONDITION / STORE_MISMATCH, NETWORK_FILE_SYSTEM */
export async function openSite({ root, group, store }: MailboxSettings): Promise<Site> {
  const folder = join(root, group)
  throw new ViaductError('UNIMPLEMENTED', `${folder}: store ${store} is not built`)
}
