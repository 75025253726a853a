/**
 * Names like the one that was typed, the nearest first: one that is its tail after a dot (`analyze` for
 * `pages.analyze`), begins like it, or is a few slips of the finger away.
 */
export function near(typed: string, names: Iterable<string>, most = 3): string[] {
  const wanted = typed.toLowerCase()
  const allowed = Math.max(1, Math.ceil(wanted.length / 3))
  const found: { name: string; distance: number }[] = []
  for (const name of new Set(names)) {
    const known = name.toLowerCase()
    const tail = known.slice(known.lastIndexOf('.') + 1)
    const begins = wanted.length >= 2 && known.startsWith(wanted)
    const distance = tail === wanted || begins ? 0 : Math.min(slips(wanted, known), slips(wanted, tail) + 1)
    if (distance <= allowed) found.push({ name, distance })
  }
  found.sort((one, other) => one.distance - other.distance || (one.name < other.name ? -1 : 1))
  return found.slice(0, most).map(({ name }) => name)
}

/** Letters changed, added, left out, or swapped with the next. */
function slips(from: string, to: string): number {
  if (Math.abs(from.length - to.length) > 8 || from.length > 128) return Number.POSITIVE_INFINITY
  let before: number[] = []
  let above = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (let row = 1; row <= from.length; row++) {
    const line = [row]
    for (let at = 1; at <= to.length; at++) {
      const same = from[row - 1] === to[at - 1]
      let best = Math.min(
        (above[at] ?? 0) + 1,
        (line[at - 1] ?? 0) + 1,
        (above[at - 1] ?? 0) + (same ? 0 : 1),
      )
      if (row > 1 && at > 1 && from[row - 1] === to[at - 2] && from[row - 2] === to[at - 1]) {
        best = Math.min(best, (before[at - 2] ?? 0) + 1)
      }
      line.push(best)
    }
    before = above
    above = line
  }
  return above[to.length] ?? 0
}
