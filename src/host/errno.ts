/** The system's word for an error (`ENOENT`, `EEXIST` …), or '' for what is not a system error. */
export function errnoOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Runs `work`; undefined if it failed with one of `codes`, any other error is thrown on. */
export function unless<T>(codes: readonly string[], work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (codes.includes(errnoOf(error))) return undefined
    throw error
  }
}
