import { constants } from 'node:fs'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { basename, extname, join, relative, sep } from 'node:path'
import { TextDecoder } from 'node:util'
import { DocumentError, documentError, isDirectory, isSpecial } from './documentError.ts'
import { CHUNK_BYTES, FILE_BYTES, LINE_CHARS, MAX_DOCUMENTS } from './limits.ts'

export interface ReadOptions {
  /** Stops the reading between two chunks; the generator then throws the signal's reason. */
  readonly signal?: AbortSignal
  readonly chunkBytes?: number
  readonly maxBytes?: number
}

/** What a text stream returns when it has ended. */
export interface ReadSummary {
  readonly bytes: number
  readonly encoding: 'utf-8' | 'utf-16le' | 'utf-16be'
}

/**
 * The text of one document in chunks of about 64 KiB, in constant memory whatever the file's size. UTF-8,
 * and UTF-16 with a byte order mark; the mark itself is left out. A character is never cut in two. Leaving
 * the loop closes the file.
 * @throws {DocumentError} missing, folder, pipe or device, binary (a NUL byte), not UTF-8, too large
 */
export async function* readText(
  path: string,
  options: ReadOptions = {},
): AsyncGenerator<string, ReadSummary> {
  const maxBytes = options.maxBytes ?? FILE_BYTES
  const buffer = Buffer.allocUnsafe(options.chunkBytes ?? CHUNK_BYTES)
  let file: FileHandle | undefined
  try {
    file = await openFile(path, maxBytes)
    let decoder: Decoder | undefined
    let bytes = 0
    for (;;) {
      options.signal?.throwIfAborted()
      const { bytesRead } = await readChunk(file, buffer)
      if (bytesRead === 0) break
      const chunk = buffer.subarray(0, bytesRead)
      decoder ??= new Decoder(chunk)
      const text = decoder.decode(chunk, bytes)
      bytes += bytesRead
      if (bytes > maxBytes) throw tooLarge(maxBytes)
      if (text !== '') yield text
    }
    decoder?.end(bytes)
    return { bytes, encoding: decoder?.encoding ?? 'utf-8' }
  } finally {
    await file?.close()
  }
}

/**
 * The lines of one document without their ends (LF, CRLF or CR). A line longer than 64 Ki characters comes
 * in several pieces, so that no item is larger than that.
 * @throws {DocumentError} as {@link readText}
 */
export async function* readLines(
  path: string,
  options: ReadOptions = {},
): AsyncGenerator<string, ReadSummary> {
  const chunks = readText(path, options)
  let rest = ''
  try {
    for (;;) {
      const next = await chunks.next()
      if (next.done === true) {
        if (rest !== '') yield rest.endsWith('\r') ? rest.slice(0, -1) : rest
        return next.value
      }
      // A CR at the end waits: its LF may open the next chunk.
      const pieces = (rest + next.value).split(/\r\n|\n|\r(?!$)/)
      rest = pieces.pop() ?? ''
      for (const piece of pieces) yield* cut(piece)
      for (; rest.length > LINE_CHARS; rest = rest.slice(LINE_CHARS)) yield rest.slice(0, LINE_CHARS)
    }
  } finally {
    await chunks.return({ bytes: 0, encoding: 'utf-8' })
  }
}

/**
 * Documents below a folder, as paths relative to it: the shallow ones first, then by name. Leaves out
 * hidden folders, `node_modules`, `dist` and links, and stops at `max`.
 */
export async function findDocuments(
  root: string,
  { extensions = ['.md'], max = MAX_DOCUMENTS }: { extensions?: readonly string[]; max?: number } = {},
): Promise<string[]> {
  const found: string[] = []
  for (let folders = [root]; folders.length > 0 && found.length < max; ) {
    const deeper: string[] = []
    for (const folder of folders) {
      const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
      for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
        if (entry.name.startsWith('.') || entry.name === 'node_modules' || entry.name === 'dist') continue
        const path = join(folder, entry.name)
        if (entry.isDirectory()) deeper.push(path)
        else if (entry.isFile() && extensions.includes(extname(entry.name).toLowerCase()))
          found.push(relative(root, path).split(sep).join('/'))
      }
    }
    folders = deeper
  }
  return found.slice(0, max)
}

/** The last part of a path without its extension: the title of a document that has none. */
export function nameOf(path: string): string {
  return basename(path, extname(path)) || path
}

/** Never waits: a pipe without a writer would hold a plain `open` for ever. */
async function openFile(path: string, maxBytes: number): Promise<FileHandle> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (error) {
    throw documentError(error)
  }
  try {
    const stat = await file.stat()
    if (stat.isDirectory()) throw isDirectory()
    if (!stat.isFile()) throw isSpecial()
    if (stat.size > maxBytes) throw tooLarge(maxBytes)
    return file
  } catch (error) {
    await file.close()
    throw documentError(error)
  }
}

async function readChunk(file: FileHandle, buffer: Buffer): Promise<{ bytesRead: number }> {
  try {
    return await file.read(buffer, 0, buffer.length, null)
  } catch (error) {
    throw documentError(error)
  }
}

function* cut(line: string): Generator<string> {
  if (line.length <= LINE_CHARS) yield line
  else for (let at = 0; at < line.length; at += LINE_CHARS) yield line.slice(at, at + LINE_CHARS)
}

function tooLarge(maxBytes: number): DocumentError {
  return new DocumentError(
    'RESOURCE_EXHAUSTED',
    'FILE_TOO_LARGE',
    `the file is larger than ${Math.floor(maxBytes / 1_048_576)} MB; split it and name the parts`,
  )
}

/** Bytes to text, chunk by chunk, refusing what is not text. */
class Decoder {
  readonly encoding: ReadSummary['encoding']
  readonly #decoder: TextDecoder

  constructor(first: Buffer) {
    if (first[0] === 0xff && first[1] === 0xfe) this.encoding = 'utf-16le'
    else if (first[0] === 0xfe && first[1] === 0xff) this.encoding = 'utf-16be'
    else this.encoding = 'utf-8'
    this.#decoder = new TextDecoder(this.encoding, { fatal: true })
  }

  decode(chunk: Buffer, offset: number): string {
    if (this.encoding === 'utf-8') {
      const nul = chunk.indexOf(0)
      if (nul !== -1) throw isBinary(offset + nul)
    }
    let text: string
    try {
      text = this.#decoder.decode(chunk, { stream: true })
    } catch (error) {
      throw notUtf8(this.encoding, offset, chunk.length, error)
    }
    if (this.encoding !== 'utf-8' && text.includes('\0')) throw isBinary(offset)
    return text
  }

  /** The file may end within a character. */
  end(bytes: number): void {
    try {
      this.#decoder.decode()
    } catch (error) {
      throw notUtf8(this.encoding, bytes, 0, error)
    }
  }
}

function isBinary(offset: number): DocumentError {
  return new DocumentError(
    'INVALID_ARGUMENT',
    'FILE_IS_BINARY',
    `the file is binary (a zero byte at ${offset}); export it as text, Markdown or HTML first`,
  )
}

function notUtf8(encoding: string, offset: number, length: number, cause: unknown): DocumentError {
  const where = length === 0 ? `at its end, byte ${offset}` : `between bytes ${offset} and ${offset + length}`
  return new DocumentError(
    'INVALID_ARGUMENT',
    'FILE_NOT_UTF8',
    `the file is not ${encoding.toUpperCase()} (${where}); convert it: iconv -f latin1 -t utf-8 FILE > COPY`,
    cause,
  )
}
