import { statfs as nodeStatfs } from 'node:fs/promises'
import { ViaductError } from '../wire/errors.ts'

/**
 * File systems of another machine, by what statfs(2) calls their type. Their locks, renames and syncs do not promise
 * what a mailbox rests on. Of 9p the type does not tell whether it is a network's: it is how virtual machines share.
 */
const NETWORK_TYPES: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0xc36400, 'Ceph'],
])

/** What is asked of the system. */
export type Statfs = (path: string) => Promise<{ readonly type: number }>

/**
 * Settles when a folder, which is there, lies on a disk of this machine, or where the system does not tell.
 *
 * @throws ViaductError FAILED_PRECONDITION / NETWORK_FILE_SYSTEM
 */
export async function checkLocalDisk(folder: string, statfs: Statfs = nodeStatfs): Promise<void> {
  const { type } = await statfs(folder)
  // 32 bits, which some systems sign.
  const network = process.platform === 'linux' ? NETWORK_TYPES.get(type >>> 0) : undefined
  if (network === undefined) return
  throw new ViaductError(
    'FAILED_PRECONDITION',
    `${folder} lies on a network file system (${network}), which keeps no promise of durability or of one receiver: choose a folder on a disk of this machine, or open the mailbox with allowNetworkFileSystem: true`,
    { reason: 'NETWORK_FILE_SYSTEM', fate: 'not-sent' },
  )
}
