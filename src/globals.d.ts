/** The few globals that Node, browsers, workers, Bun and Deno share and that the pure layers use. */
declare function setTimeout(callback: () => void, ms: number): unknown
declare function clearTimeout(timer: unknown): void
declare function queueMicrotask(callback: () => void): void
declare const performance: { now(): number }
declare const crypto: { getRandomValues<T extends Uint8Array>(bytes: T): T }
declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>
  encodeInto(text: string, into: Uint8Array): { read: number; written: number }
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(bytes: Uint8Array): string
}
interface EventTargetLike {
  addEventListener(type: 'abort', listener: () => void, options?: { once?: boolean }): void
  removeEventListener(type: 'abort', listener: () => void): void
}
interface AbortSignal extends EventTargetLike {
  readonly aborted: boolean
  readonly reason: unknown
}
declare class AbortController {
  readonly signal: AbortSignal
  abort(reason?: unknown): void
}
