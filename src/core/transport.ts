/**
 * Moves whole frames between two ends, in order; knows nothing of their meaning. Writing one is two
 * functions and three events; `viaduct/testing` exports the suite that it has to pass.
 */
export interface Transport {
  /**
   * Takes one or more whole frames, the last of which may go on in `tail`. The bytes are the transport's to
   * read from now on; nobody writes to them before {@link flush} has said that it is done with them.
   *
   * @returns false when the transport is full: it has taken these frames, and wants no more until `drain`.
   */
  send(frames: Uint8Array, tail?: Uint8Array): boolean
  /** Ends the link once what was sent is out. `close` follows exactly once, at both ends. */
  close(reason?: string): void
  /** Connects the three events. Frames that came earlier are kept and delivered first. Called once. */
  attach(events: TransportEvents): void
  /** Stops reading, so that the far end gets its own `false`. Optional: without it a hub refuses instead. */
  pause?(): void
  resume?(): void
  /**
   * Writes now what it has gathered. Optional: without it nothing that was sent is written to again, and a hub
   * copies what it would have lent.
   *
   * @returns whether it looks at nothing of what was sent any more, so that the memory may be used again.
   */
  flush?(): boolean
}

export interface TransportEvents {
  /**
   * One or more whole frames, back to back. They are lent for the time of the call, unless {@link keeps}.
   */
  frame(frames: Uint8Array): void
  /** True when views of frames are kept after the call: then the transport never writes to them again. */
  readonly keeps?: boolean
  /** Asked where {@link keeps}: whether there are such views now. If not, all of it may be written to. Absent: always. */
  kept?(): boolean
  drain(): void
  /** The link has ended; nothing follows. `reason` is one of PROTOCOL.md's or TRANSPORT_CLOSED. */
  close(reason: string): void
}
