import type { Topic } from './topicIndex.ts'

/** An event as it is shared by all its subscribers: everything behind the head. */
export interface Publication {
  readonly topic: Topic
  readonly payload: Uint8Array
  readonly segments: number
  /** The SOURCE entry of its heads. */
  readonly source: Uint8Array
  /** Counts all events of the hub. */
  readonly number: number
  readonly sequence: number
  readonly key: string | undefined
  /** What holding it costs: payload and key. */
  readonly bytes: number
  /** When it came, by the hub's clock. */
  readonly at: number
}
