/** Files read and written whole: at once while they are small, by threads when they would hold the event loop. */
import { errnoOf } from '../host/errno.ts'
import type { FileStatus, Files, OpenFile, WholeFile } from './files.ts'

/** Bytes up to which a file is read or written before the next line runs. */
const SMALL_BYTES = 256 * 1024

/** Writes a new file that nobody sees yet, and renames it to where it belongs. What is left by a failure is removed. */
export function placeFile(
  files: Files,
  unfinished: string,
  path: string,
  bytes: Uint8Array,
): void | Promise<void> {
  if (bytes.length > SMALL_BYTES) return placeLarge(files, unfinished, path, bytes)
  try {
    files.createNow(unfinished, bytes)
    files.renameNow(unfinished, path)
  } catch (error) {
    removeIfThere(files, unfinished)
    throw error
  }
}

async function placeLarge(files: Files, unfinished: string, path: string, bytes: Uint8Array): Promise<void> {
  try {
    await replaceFile(files, unfinished, path, bytes, 'unsynced')
  } catch (error) {
    removeIfThere(files, unfinished)
    throw error
  }
}

/**
 * Writes a file by threads, and renames it to where it belongs, in the place of what has that name. What a crash left of
 * another try is written over. With `synced` its content is on stable storage before it has its name; the name is so
 * after a sync of its folder.
 */
export async function replaceFile(
  files: Files,
  unfinished: string,
  path: string,
  bytes: Uint8Array,
  durability: 'synced' | 'unsynced',
): Promise<void> {
  const file = await createdAnew(files, unfinished)
  try {
    await file.write(bytes, 0)
    if (durability === 'synced') await file.sync()
  } finally {
    await file.close()
  }
  await files.rename(unfinished, path)
}

async function createdAnew(files: Files, path: string): Promise<OpenFile> {
  try {
    return await files.create(path)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    await files.remove(path)
    return files.create(path)
  }
}

export function removeIfThere(files: Files, path: string): void {
  try {
    files.removeNow(path)
  } catch {
    // It was never made; or what keeps us from removing it is what failed before.
  }
}

/** Opens a file without following a link, and reads it if `admits` says so of what was opened. */
export function readWhole(
  files: Files,
  path: string,
  admits: (status: FileStatus) => boolean,
): WholeFile | Promise<WholeFile> {
  let large = false
  const whole = files.readNow(path, (status) => {
    if (!admits(status)) return false
    large = status.size > SMALL_BYTES
    return !large
  })
  return large ? readLarge(files, path, admits) : whole
}

async function readLarge(
  files: Files,
  path: string,
  admits: (status: FileStatus) => boolean,
): Promise<WholeFile> {
  const file = await files.openToRead(path)
  try {
    const status = await file.status()
    if (!admits(status)) return { status }
    const bytes = Buffer.allocUnsafeSlow(status.size)
    return { status, bytes: bytes.subarray(0, await file.read(bytes, 0)) }
  } finally {
    await file.close()
  }
}
