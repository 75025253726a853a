/** Whether a value that anybody may have made has fields. */
export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
