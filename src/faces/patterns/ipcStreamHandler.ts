// Wraps StreamReaders and Peer.handle: streams by id, to functions.
import type { Peer } from '../../contract/peer.ts'
import { StreamReaders } from '../../contract/streamReaders.ts'
import type { CallContext, Serving, Target } from '../../core/call.ts'
import { untyped } from '../../core/method.ts'
import { given, positive, readOptions } from '../../policies/options.ts'

export interface IPCStreamHandlerOptions {
  /** Who makes the items. Default: the far end of the link. */
  readonly target?: Target
  /** Until the first item, or the end; default 30,000. */
  readonly timeoutMs?: number
}

export class IPCStreamHandler {
  readonly #peer: Pick<Peer, 'to' | 'handle'>
  readonly #target: Target | undefined
  readonly #timeoutMs: number
  readonly #readers = new StreamReaders()

  constructor(peer: Pick<Peer, 'to' | 'handle'>, options?: IPCStreamHandlerOptions) {
    const { target, timeoutMs } = readOptions('IPCStreamHandler', options, {
      target: given<Target | undefined>(undefined, '{ id } or { type }'),
      timeoutMs: positive(30_000),
    })
    this.#peer = peer
    this.#target = target
    this.#timeoutMs = timeoutMs
  }

  /**
   * Starts the stream at the far side. `onData` takes one item after the other, and holds up the far generator while a
   * promise that it returned is open. `onEnd` is called once, with the error of a stream that failed.
   *
   * @returns a promise that settles behind `onEnd`; it rejects with ALREADY_EXISTS while a stream of this id is open.
   */
  startStream(
    streamId: string,
    onData: (data: unknown) => unknown,
    onEnd: (error?: unknown) => void,
  ): Promise<void> {
    const open = () =>
      this.#peer
        .to(this.#target)
        .stream(untyped(methodOf(streamId), 'stream'), undefined, { timeoutMs: this.#timeoutMs })
    return this.#readers.read(streamId, open, onData, onEnd)
  }

  /** Hands `onData` an item that came another way. False when no stream of this id is open. */
  handleStreamData(streamId: string, data: unknown): boolean {
    return this.#readers.give(streamId, data)
  }

  /** Ends the stream here and at the far side. False when it has ended already, or never began. */
  endStream(streamId: string): boolean {
    return this.#readers.end(streamId)
  }

  /** The far side: makes the items of each stream of this id that is started. Leaving it to end is an end of it. */
  onStart(streamId: string, items: (call: CallContext) => AsyncIterable<unknown>): Serving {
    return this.#peer.handle(untyped(methodOf(streamId), 'stream'), (_input, call) => items(call))
  }
}

/** What rules name: `stream_start.ai_batch_inference`, or `stream_start.*`. */
function methodOf(streamId: string): string {
  return `stream_start.${streamId}`
}
