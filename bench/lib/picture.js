/**
 * The ratios as horizontal bars, one group for each workload, with a line at the floor. Each group has its own
 * scale from zero, because only ratios to one floor may be compared.
 */

const WIDTH = 860
const LABEL = 190
const VALUE = 190
const BAR = 14
const STEP = 22
const HEAD = 44
const FONT = 'system-ui, -apple-system, "Segoe UI", sans-serif'

/** @param {any} results what the JSON file holds */
export function picture(results) {
  let y = 56
  const groups = []
  for (const [id, workload] of Object.entries(results.workloads)) {
    const bars = Object.entries(/** @type {Record<string, any>} */ (workload.contenders))
      .filter(([, { ratio }]) => ratio !== undefined)
      .sort(([, a], [, b]) => b.ratio - a.ratio)
    if (bars.length === 0) continue
    const most = Math.max(1, ...bars.map(([, { ratio }]) => ratio))
    /** @param {number} ratio */
    const length = (ratio) => (ratio / most) * (WIDTH - LABEL - VALUE)
    const top = y + HEAD - 12
    const bottom = top + bars.length * STEP
    const lines = [
      `<text class="head" x="16" y="${y + 18}">${escaped(`${id}: ${workload.title}`)}</text>`,
      ...bars.map(([name, summary], row) => {
        const at = top + row * STEP
        const kind = name === workload.floor ? 'floor' : summary.ours ? 'ours' : 'peer'
        return [
          `<text class="${kind}" x="${LABEL - 8}" y="${at + 14}" text-anchor="end">${escaped(name)}</text>`,
          `<rect class="${kind}" x="${LABEL}" y="${at + 3}" width="${length(summary.ratio).toFixed(1)}" height="${BAR}" rx="2"/>`,
          `<text class="value" x="${(LABEL + length(summary.ratio) + 6).toFixed(1)}" y="${at + 14}">${summary.ratio.toFixed(2)}<tspan class="dim"> · ${escaped(`${Math.round(summary.rate).toLocaleString('en-US')} ${workload.unit}`)}</tspan></text>`,
        ].join('')
      }),
      `<line x1="${(LABEL + length(1)).toFixed(1)}" x2="${(LABEL + length(1)).toFixed(1)}" y1="${top - 2}" y2="${bottom}"/>`,
    ]
    groups.push(lines.join('\n'))
    y = bottom + 12
  }
  const { machine, settings } = results
  const caption = `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${machine.date.slice(0, 10)}; medians of ${settings.rounds} rounds of ${settings.windowMs} ms`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 8}" role="img" aria-label="Ratio of each contender to the floor of its workload">
<style>
:root { color-scheme: light dark; --paper: #fff; --ink: #1f2328; --dim: #59636e; --peer: #8c959f; --floor: #424a53; --ours: #0969da }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --ink: #e6edf3; --dim: #9198a1; --peer: #656c76; --floor: #b1bac4; --ours: #4493f8 } }
.paper { fill: var(--paper) }
text { font: 12px ${FONT}; fill: var(--ink) }
.title { font-size: 15px; font-weight: 600 }
.head { font-weight: 600 }
text.ours { font-weight: 700; fill: var(--ours) }
.dim, .caption { fill: var(--dim) }
rect.peer { fill: var(--peer) } rect.floor { fill: var(--floor) } rect.ours { fill: var(--ours) }
line { stroke: var(--ink); stroke-dasharray: 3 3; opacity: .7 }
</style>
<rect class="paper" width="${WIDTH}" height="${y + 8}" rx="6"/>
<text class="title" x="16" y="26">Throughput, as a ratio to a hand-written floor (dashed line = 1.00)</text>
<text class="caption" x="16" y="45">${escaped(caption)}</text>
${groups.join('\n')}
</svg>
`
}

/** @param {string} text */
function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
