import { type CallMarks, callHead, marksOf } from '../core/callHead.ts'
import { ViaductError } from '../wire/errors.ts'

/** How a call carries {@link CallMarks}: a part that a peer is given, or lacks. */
export interface Marks {
  /** @throws ViaductError INVALID_ARGUMENT with the path of what is malformed, or cannot be carried. */
  write(options: CallMarks): Uint8Array | undefined
  /** What a far end's head says, leaving out what is malformed. */
  read(head: Uint8Array): CallMarks
}

/** Both of them: give it to `peerOver`. */
export const marks: Marks = { write: callHead, read: marksOf }

/** Without them nothing of a far end's is read, and an own one is refused: a policy may rest on it. */
export const noMarks: Marks = {
  write({ traceparent, idempotencyKey = traceparent }) {
    if (idempotencyKey === undefined) return undefined
    throw new ViaductError(
      'INVALID_ARGUMENT',
      'options: traceparent and idempotencyKey need viaduct/browser/marks',
      {
        reason: 'BAD_OPTION',
        path: 'options',
      },
    )
  },
  read: () => ({}),
}
