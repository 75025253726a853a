import { type Clock, systemClock } from '../core/clock.ts'
import type { PolicyStats } from '../core/interceptor.ts'
import { GatherCounts, Gatherer, type Settled } from './gatherer.ts'
import { count, given, positive, readOptions } from './options.ts'

export interface BatchedOptions {
  /** Inputs of one run; default 100. */
  readonly maxSize?: number
  /** Longest that an input waits for others while a run is under way; default 16 ms. A lone one does not wait. */
  readonly maxDelayMs?: number
  readonly clock?: Clock
}

export interface Batched<In, Out> {
  (input: In): Promise<Out>
  readonly stats: () => PolicyStats
}

/**
 * A handler for one input made of a function for many, as one query for many rows: what comes close together, from
 * whatever caller, is run together. The function gives one output for each input, in order; an Error among them is the
 * error of that one alone.
 * ```ts
 * peer.serve(users, { find: batched(async (ids: readonly string[]) => rowsOf(ids)) })
 * ```
 */
export function batched<In, Out>(
  many: (inputs: readonly In[]) => Promise<readonly (Out | Error)[]>,
  options?: BatchedOptions,
): Batched<In, Out> {
  const gather = readOptions('batched', options, {
    maxSize: count(100),
    maxDelayMs: positive(16),
    clock: given<Clock>(systemClock, 'a clock'),
  })
  const run = async (inputs: readonly In[]): Promise<readonly Settled<Out>[]> => {
    const outputs = await many(inputs)
    return outputs.map((value) => (value instanceof Error ? { error: value } : { value }))
  }
  const counts = new GatherCounts()
  const gatherer = new Gatherer<In, Out>(run, gather, counts)
  return Object.assign((input: In) => gatherer.add(input), { stats: () => counts.stats() })
}
