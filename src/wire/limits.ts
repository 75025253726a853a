/**
 * Every size and time that the protocol names, in one place. PROTOCOL.md quotes this file and a test
 * compares the two. Bytes unless the name says otherwise.
 */

/** Bytes of a frame's fixed header (PROTOCOL.md, "Frame"). */
export const HEADER_BYTES = 32
/** The most payload one frame carries; longer messages are cut into fragments of this size. */
export const FRAGMENT_BYTES = 32 * 1024
/** The longest legal frame: header and one full fragment. A framer buffers at most this much. */
export const MAX_FRAME_BYTES = HEADER_BYTES + FRAGMENT_BYTES
/** Binary values of this size or more travel as segments beside the body, never inside it. */
export const SEGMENT_BYTES = 4096
/** Longest message a trusted peer may send. */
export const TRUSTED_MESSAGE_BYTES = 10 * 1024 * 1024
/** Longest message any other peer may send, unless the manifest raises it. */
export const UNTRUSTED_MESSAGE_BYTES = 1024 * 1024
/** Deepest nesting of a body. */
export const MAX_DEPTH = 64
/** Most keys, items and map entries in all that one body may hold, for peers that are not trusted. */
export const MAX_KEYS = 10_000
/** The same for trusted peers: bounded by the message's size alone. */
export const TRUSTED_MAX_KEYS = TRUSTED_MESSAGE_BYTES
/** Bounds of every body that the hub itself reads: `$hub` calls and link frames. */
export const HUB_BODY_BYTES = 16 * 1024
export const HUB_BODY_DEPTH = 8
/** Bytes of items, headers included, that a sender may have under way unacknowledged on one stream. */
export const WINDOW_BYTES = 256 * 1024
/** Smallest window: two full frames, so that a half-used window always admits the next one. */
export const MIN_WINDOW_BYTES = 2 * MAX_FRAME_BYTES
/** Exchanges that one side may have open on a link at once; slots are numbered below this. */
export const MAX_EXCHANGES = 4096
/** Exchanges of a trusted peer. */
export const TRUSTED_MAX_EXCHANGES = 65_536
/** Routes that one side may have open on a link. */
export const MAX_ROUTES = 1024
/** Methods that may be defined on one route. */
export const MAX_METHODS = 8192
/** Deadline of a call when the caller names none. */
export const CALL_TIMEOUT_MS = 5_000
/** How long, and with how many bytes, a link may stay without having proved who it is. */
export const ADMISSION_TIMEOUT_MS = 2_000
export const ADMISSION_BYTES = 4096
/** Functions that the input of one call may refer to. */
export const MAX_REFERENCES = 64
/** Calls of a caller's functions that may be under way on one exchange. */
export const MAX_BACKS = 256
/** How long a kept function may stay unused when its keeper names no time. */
export const LEASE_MS = 60_000
/** The longest lease; what is over it counts as it. */
export const MAX_LEASE_MS = 60 * 60 * 1000
/** So long after a lease the caller ends it, in case the callee has not. */
export const LEASE_GRACE_MS = 1_000
/** Gathered bytes that are written without waiting for the end of the tick. */
export const GATHER_BYTES = 2048
/**
 * Bytes that wait for one link while one-way messages are still taken. With 32 MiB the two ends of a flood worked by
 * turns, and it was a fifth slower (W3).
 */
export const ONE_WAY_QUEUE_BYTES = 1024 * 1024
/** What a hub holds for one peer that is not trusted, in bytes and in messages. */
export const UNTRUSTED_QUEUE_BYTES = 16 * 1024 * 1024
export const TRUSTED_QUEUE_BYTES = 64 * 1024 * 1024
export const QUEUE_MESSAGES = 4096
export const TRUSTED_QUEUE_MESSAGES = 65_536
/** What a hub holds for all its peers together. */
export const HUB_QUEUE_BYTES = 512 * 1024 * 1024
/** Messages that wait for one topic subscriber or one method; pause at 80 %, resume at 20 %. */
export const QUEUE_CAPACITY = 1000
export const HIGH_WATER_SHARE = 0.8
export const LOW_WATER_SHARE = 0.2
/** What one topic subscription may have waiting at the hub, bytes. */
export const SUBSCRIPTION_QUEUE_BYTES = 1024 * 1024
/** The longest silence that a peer may declare at once, milliseconds; it may declare it again. */
export const MAX_BUSY_MS = 60 * 60 * 1000
/** Events that a hub keeps for subscribers that come back, over all topics: bytes. */
export const HUB_REPLAY_BYTES = 16 * 1024 * 1024
