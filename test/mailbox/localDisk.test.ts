import { tmpdir } from 'node:os'
import { describe, expect, it } from 'vitest'
import { checkLocalDisk } from '../../src/mailbox/localDisk.ts'

const of = (type: number) => () => Promise.resolve({ type })

describe('the disk of a mailbox', () => {
  it.each([
    ['NFS', 0x6969],
    ['SMB', 0x517b],
    ['SMB', 0xfe534d42],
    ['CIFS', 0xff534d42],
    ['CIFS', 0xff534d42 | 0],
    ['AFS', 0x5346414f],
    ['AFS', 0x6b414653],
    ['Ceph', 0xc36400],
  ])('is refused where it is of a network: %s %i', async (name, type) => {
    await expect(checkLocalDisk('/data/ipc', of(type))).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'NETWORK_FILE_SYSTEM',
      message: expect.stringMatching(new RegExp(`^/data/ipc .*${name}.*allowNetworkFileSystem`)),
    })
  })

  it.each([
    ['ext4', 0xef53],
    ['tmpfs', 0x01021994],
    ['overlay', 0x794c7630],
    ['9p', 0x01021997],
  ])('is taken: %s', async (_, type) => {
    await expect(checkLocalDisk('/data/ipc', of(type))).resolves.toBeUndefined()
  })

  it('is asked of the system', async () => {
    await expect(checkLocalDisk(tmpdir())).resolves.toBeUndefined()
    await expect(checkLocalDisk(`${tmpdir()}/is/not/there`)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
