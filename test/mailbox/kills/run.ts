/** The long storm over mailboxes, with its figures; part of `npm run test:storm`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mailboxStorm } from './killStorm.ts'
import { bundleProgram } from './processes.ts'

/** Runs over both stores; resolves to whether all was well. */
export async function mailboxStorms(options: {
  readonly seed: number
  readonly kills: number
  readonly messages: number
  readonly seconds: number
}): Promise<boolean> {
  const home = mkdtempSync(join(tmpdir(), 'mailbox-storm-'))
  let isWell = true
  try {
    const program = await bundleProgram(home)
    for (const store of ['log', 'folder'] as const) {
      const onProgress = (kills: number): void =>
        console.error(`mailbox, ${store} store: ${kills} of ${options.kills} killed`)
      const { faults, ...figures } = await mailboxStorm({ program, store, ...options, onProgress })
      console.log(`mailbox, ${store} store: ${JSON.stringify(figures)}`)
      for (const fault of faults.slice(0, 50)) console.error(`VIOLATION ${fault}`)
      isWell &&= faults.length === 0
    }
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
  return isWell
}
