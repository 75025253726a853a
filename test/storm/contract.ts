import { contract, method, stream, topic, unchecked } from 'viaduct'

/** What every handler is told: the number of the call, which nobody uses twice. */
export interface Numbered {
  readonly n: string
}

export interface Note extends Numbered {
  readonly waitMs: number
  /** Bytes of the answer beside its number. */
  readonly bytes: number
}

export interface Tick {
  /** One life of one publisher. */
  readonly life: string
  readonly at: number
}

/** What the processes of a storm say to each other. */
export const storm = contract('storm', {
  note: method({ input: unchecked<Note>(), output: unchecked<{ n: string; fill: Uint8Array }>() }),
  mark: method({ input: unchecked<Numbered>() }),
  count: stream({
    input: unchecked<Numbered & { items: number }>(),
    item: unchecked<number>(),
    output: unchecked<number>(),
  }),
  sum: stream({ input: unchecked<Numbered>(), upload: unchecked<number>(), output: unchecked<number>() }),
  twice: stream({
    input: unchecked<Numbered>(),
    upload: unchecked<number>(),
    item: unchecked<number>(),
    output: unchecked<number>(),
  }),
  tick: topic({ data: unchecked<Tick>() }),
})
