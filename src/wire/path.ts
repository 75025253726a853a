const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u

/** A step of a path as it is written in TypeScript: `.url`, `["a b"]`, `[3]`. */
export function stepOf(key: unknown): string {
  if (typeof key === 'string' && IDENTIFIER.test(key)) return `.${key}`
  return `[${typeof key === 'string' ? JSON.stringify(key) : String(key)}]`
}
