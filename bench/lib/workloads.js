import { byteStream, echo, oneWay, pipelined, readItems, sequential } from './drivers.js'
import { BACKLOG, enqueueing } from './durable.js'
import { MIB } from './payload.js'

/**
 * What is measured. A `W5.` workload is its namesake through a hub.
 *
 * @typedef {object} Workload
 * @property {string} title
 * @property {'calls' | 'oneWay' | 'items' | 'durable'} shape how the runner measures it
 * @property {string} unit of the rate
 * @property {number} [bytes] carried by one operation, both ways together: the rate is then in MB/s
 * @property {string} needs the workload that a contender must list
 * @property {'direct' | 'hub' | 'mailbox'} kind
 * @property {string} floor the contender that everybody is divided by
 * @property {(client: import('./contender.js').Client, ms: number, dir: string) => Promise<import('./drivers.js').Run>} warm
 * @property {(client: import('./contender.js').Client, ms: number, dir: string) => Promise<import('./drivers.js').Run>} run
 */

export const ITEMS = 100_000
const WARM_ITEMS = 40_000
const MB = 1_000_000

const net = { kind: /** @type {const} */ ('direct'), floor: 'net-json' }
const binary = { kind: /** @type {const} */ ('direct'), floor: 'net-binary' }

/** @type {Record<string, Omit<Workload, 'needs'>>} */
const direct = {
  W1: {
    ...net,
    title: 'one request after the other',
    shape: 'calls',
    unit: 'req/s',
    // Many at once, so that the code is hot whatever a wake-up costs on this machine.
    warm: pipelined,
    run: sequential,
  },
  W2: {
    ...net,
    title: '64 requests in flight',
    shape: 'calls',
    unit: 'req/s',
    warm: pipelined,
    run: pipelined,
  },
  W3: {
    ...net,
    title: 'one-way, counted at the receiver',
    shape: 'oneWay',
    unit: 'msg/s',
    warm: oneWay,
    run: oneWay,
  },
  W4: {
    ...binary,
    title: '1 MiB binary echoed as one message',
    shape: 'calls',
    unit: 'MB/s',
    bytes: 2 * MIB,
    warm: echo,
    run: echo,
  },
  'W4.10MB': stream(10 * MB),
  'W4.100MB': stream(100 * MB),
  W7: {
    ...net,
    title: 'stream of 100,000 objects of 100 bytes',
    shape: 'items',
    unit: 'items/s',
    warm: readItems(WARM_ITEMS),
    run: readItems(ITEMS),
  },
}

/** @param {number} bytes @returns {Omit<Workload, 'needs'>} */
function stream(bytes) {
  return {
    ...binary,
    title: `byte stream of ${bytes / MB} MB echoed`,
    shape: 'calls',
    unit: 'MB/s',
    bytes: 2 * bytes,
    warm: byteStream(10 * MB),
    run: byteStream(bytes),
  }
}

/** @type {Record<string, Workload>} */
export const WORKLOADS = {}
for (const [id, workload] of Object.entries(direct)) WORKLOADS[id] = { ...workload, needs: id }
for (const [id, workload] of Object.entries(direct))
  WORKLOADS[`W5.${id}`] = {
    ...workload,
    title: `through a hub: ${workload.title}`,
    needs: id,
    kind: 'hub',
    floor: 'hub-net-co',
  }

WORKLOADS.W6 = {
  title: `durable, 64 enqueuing at once: enqueue, handler, acknowledged; at most ${BACKLOG} before the handler`,
  shape: 'durable',
  unit: 'msg/s',
  needs: 'W6',
  kind: 'mailbox',
  floor: 'log-floor',
  // What runs once a message is compiled only after some 100,000 of them, of which a second has far fewer than calls.
  warm: (client, ms, dir) => enqueueing(client, 3 * ms, dir),
  run: enqueueing,
}

/** The ids that a name on the command line stands for: `W4` all of W4, `W5` everything through a hub.
 * @param {string} name */
export function workloadsNamed(name) {
  return Object.keys(WORKLOADS).filter((id) => id === name || id.startsWith(`${name}.`))
}
