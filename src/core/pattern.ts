/** The one language of patterns, in rules and in subscriptions: `pages.opened`, `pages.*`, `*`. */

/** Whether a name stands for many. */
export function isPattern(name: string): boolean {
  return name === '*' || name.endsWith('.*')
}

/** Whether it is a name or a pattern: a star stands at the end, alone or behind a dot. */
export function isNameOrPattern(name: string): boolean {
  const star = name.indexOf('*')
  return name !== '' && (star < 0 || (star === name.length - 1 && isPattern(name)))
}

/** `pages.analyze` and `pages.*` match `pages.analyze`; `*` matches everything. */
export function matches(rule: string, name: string): boolean {
  return isPattern(rule) ? name.startsWith(prefixOf(rule)) : rule === name
}

/** What all names that a pattern matches begin with. */
export function prefixOf(pattern: string): string {
  return pattern.slice(0, -1)
}

/** Whether some name could match both a rule and a pattern. */
export function overlap(rule: string, pattern: string): boolean {
  if (!isPattern(rule)) return matches(pattern, rule)
  const [one, other] = [prefixOf(rule), prefixOf(pattern)]
  return one.startsWith(other) || other.startsWith(one)
}

/** What the patterns that match a name begin with, the longest first. */
export function* prefixesOf(name: string): Generator<string> {
  for (let dot = name.lastIndexOf('.'); dot >= 0; dot = dot === 0 ? -1 : name.lastIndexOf('.', dot - 1)) {
    yield name.slice(0, dot + 1)
  }
  yield ''
}
