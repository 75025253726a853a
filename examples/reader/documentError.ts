/** Codes of viaduct's closed set that a document can fail with. */
export type DocumentCode =
  | 'NOT_FOUND'
  | 'PERMISSION_DENIED'
  | 'INVALID_ARGUMENT'
  | 'FAILED_PRECONDITION'
  | 'RESOURCE_EXHAUSTED'
  | 'UNAVAILABLE'

export type DocumentReason =
  | 'FILE_MISSING'
  | 'FILE_FORBIDDEN'
  | 'FILE_IS_DIRECTORY'
  | 'FILE_IS_SPECIAL'
  | 'FILE_IS_BINARY'
  | 'FILE_NOT_UTF8'
  | 'FILE_TOO_LARGE'
  | 'FILE_UNREADABLE'

/**
 * Why one document cannot be read. The message says what to do and holds no path: the caller knows which
 * file it asked for. A process rethrows it as `new ViaductError(error.code, error.message, { reason })`.
 */
export class DocumentError extends Error {
  readonly code: DocumentCode
  readonly reason: DocumentReason

  constructor(code: DocumentCode, reason: DocumentReason, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'DocumentError'
    this.code = code
    this.reason = reason
  }
}

/** Turns what the file system threw into a {@link DocumentError}; passes one on unchanged. */
export function documentError(error: unknown): DocumentError {
  if (error instanceof DocumentError) return error
  switch (systemCode(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new DocumentError(
        'NOT_FOUND',
        'FILE_MISSING',
        'no such file; check the spelling of its path',
        error,
      )
    case 'EACCES':
    case 'EPERM':
      return new DocumentError(
        'PERMISSION_DENIED',
        'FILE_FORBIDDEN',
        'you may not read this file; change its permissions (chmod +r) or choose another',
        error,
      )
    case 'EISDIR':
      return isDirectory(error)
    case 'ENXIO':
      return isSpecial(error)
    case 'ENAMETOOLONG':
    case 'ELOOP':
    case 'ERR_INVALID_ARG_VALUE':
      return new DocumentError(
        'INVALID_ARGUMENT',
        'FILE_MISSING',
        'this is not a usable path; check it',
        error,
      )
    case 'EMFILE':
    case 'ENFILE':
      return new DocumentError(
        'UNAVAILABLE',
        'FILE_UNREADABLE',
        'too many files are open; name fewer files at once',
        error,
      )
    default:
      return new DocumentError(
        'FAILED_PRECONDITION',
        'FILE_UNREADABLE',
        `the file cannot be read (${systemCode(error) || 'unknown fault'}); copy it to a sound disk and try again`,
        error,
      )
  }
}

export function isDirectory(cause?: unknown): DocumentError {
  return new DocumentError(
    'INVALID_ARGUMENT',
    'FILE_IS_DIRECTORY',
    'this is a folder; name the files in it, as folder/*.md',
    cause,
  )
}

export function isSpecial(cause?: unknown): DocumentError {
  return new DocumentError(
    'INVALID_ARGUMENT',
    'FILE_IS_SPECIAL',
    'this is a pipe, socket or device and may never end; save its content to a file first',
    cause,
  )
}

function systemCode(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}
