import { Histogram } from './histogram.ts'

/** What went on over a time. Times are milliseconds, sizes of queues messages, rates percent: 0 … 100. */
export interface IPCMetrics {
  /** Calls, one-way messages, events and items of streams; an answer belongs to its call. */
  readonly messagesPerSecond: number
  /** Payload bytes in both directions. */
  readonly bytesPerSecond: number
  /** From the call to its answer; of a stream to its first item. */
  readonly p50Latency: number
  readonly p95Latency: number
  readonly p99Latency: number
  readonly maxLatency: number
  /** Messages that waited, as samples show it. */
  readonly avgQueueSize: number
  readonly maxQueueSize: number
  /** Messages that were not taken because a queue was full. */
  readonly dropCount: number
  /** Of 100 calls that ended, those that failed. One that its caller cancelled has not failed. */
  readonly errorRate: number
  /** Of 100 calls that ended, those whose time was over. */
  readonly timeoutRate: number
  /** Retries to 100 calls, as far as peers report them. */
  readonly retryRate: number
}

/** Counts over a time, which {@link IPCMetrics} are made of. */
export class Tally {
  messages = 0
  bytes = 0
  /** Calls that ended. */
  ended = 0
  failed = 0
  timedOut = 0
  dropped = 0
  retries = 0
  avgQueueSize = 0
  maxQueueSize = 0
  readonly latency = new Histogram()

  /** Of 100 messages, those that were dropped. */
  get dropRate(): number {
    return percent(this.dropped, this.messages + this.dropped)
  }

  /** Adds what was counted in another time; the average of queues is its maker's to say. */
  add(other: Tally): void {
    this.messages += other.messages
    this.bytes += other.bytes
    this.ended += other.ended
    this.failed += other.failed
    this.timedOut += other.timedOut
    this.dropped += other.dropped
    this.retries += other.retries
    this.maxQueueSize = Math.max(this.maxQueueSize, other.maxQueueSize)
    this.latency.add(other.latency)
  }

  /** @param ms how long it was counted. */
  metrics(ms: number): IPCMetrics {
    const seconds = Math.max(ms, 1) / 1000
    const { latency } = this
    return {
      messagesPerSecond: this.messages / seconds,
      bytesPerSecond: this.bytes / seconds,
      p50Latency: latency.percentile(0.5),
      p95Latency: latency.percentile(0.95),
      p99Latency: latency.percentile(0.99),
      maxLatency: latency.maxMs,
      avgQueueSize: this.avgQueueSize,
      maxQueueSize: this.maxQueueSize,
      dropCount: this.dropped,
      errorRate: percent(this.failed, this.ended),
      timeoutRate: percent(this.timedOut, this.ended),
      retryRate: percent(this.retries, this.ended),
    }
  }
}

function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : (100 * part) / whole
}
