/** What the mailbox says when it refuses, and why messages become dead letters. */
import type { Text } from './explanations.ts'

export const MAILBOX_TEXTS: Record<string, Text> = {
  MAILBOX_FULL: [
    'RESOURCE_EXHAUSTED',
    'The mailbox holds as much as its quota allows; the message was not stored.',
    ['nobody receives, or the receiver does less than is sent'],
    [
      'viaduct mailbox list tells what waits and who receives',
      'start a receiver, or give the mailbox a larger quota; nothing is ever removed to make room',
    ],
  ],
  STORE_MISMATCH: [
    'FAILED_PRECONDITION',
    'The mailbox was made with the other store; it stays of the kind that it was made as.',
    [
      'two programs open it with different `store`',
      'its file .journal/store was changed, or is of a newer version',
    ],
    ['open it with the store that viaduct mailbox list shows, or choose another group'],
  ],
  ACK_TIMEOUT: [
    'DEADLINE_EXCEEDED',
    'No acknowledgement came, although the message was announced again as often as asked. It stays stored.',
    [
      'nobody receives from the mailbox',
      'its handler takes longer than the time for acknowledgements, 30 s by default',
      'the message became a dead letter: such a one is never acknowledged',
    ],
    [
      'viaduct mailbox show GROUP tells who receives and what is dead',
      'raise ackTimeoutMs, or let the handler do less before it returns',
      'do not send it again with another id: it will still be delivered',
    ],
  ],
  TOO_MANY_ACKS: [
    'RESOURCE_EXHAUSTED',
    'So many messages of this sender wait for their acknowledgement that no more are taken; this one was not stored.',
    ['the receiver does not keep up, or nobody receives'],
    ['wait for some with waitForAck', 'raise maxPendingAcks, or ask for fewer acknowledgements'],
  ],
  RECEIVING: [
    'FAILED_PRECONDITION',
    'This instance of the mailbox receives already.',
    ['receive() was called twice'],
    ['stop the first receiver, or open another instance, which stands by'],
  ],
  LEASE_EXPIRED: [
    'FAILED_PRECONDITION',
    'The time that one attempt has is over; the message is started again.',
    ['heartbeat is false, and the handler neither ended nor called extend within leaseMs'],
    [
      'call extend(ms) while the handler works, or raise leaseMs',
      'stop when delivery.signal is aborted: the next attempt may run beside this one',
    ],
  ],
  LETTER_UNKNOWN: [
    'NOT_FOUND',
    'The mailbox has no dead letter of that id.',
    ['it was redriven or purged', 'the message waits, or is done', 'the id is misspelt'],
    ['viaduct mailbox dead GROUP lists those that there are'],
  ],
  HANDLER_CRASHED: [
    'ABORTED',
    'A dead letter’s reason: every attempt ended with its process, or without an end that could be recorded.',
    ['the handler ends or kills its process', 'it takes more memory than there is'],
    [
      'viaduct mailbox show GROUP ID shows the message; try it in a process of its own',
      'viaduct mailbox redrive GROUP ID when the handler is mended',
    ],
  ],
  GIVEN_UP_BEFORE: [
    'FAILED_PRECONDITION',
    'A dead letter’s reason: a message of this id had been given up, and came again after its letter was purged.',
    ['it was sent, or dropped into messages/, again with the same id'],
    ['viaduct mailbox redrive GROUP ID has it handled', 'send another message with another id'],
  ],
  EXPIRED: [
    'DEADLINE_EXCEEDED',
    'A dead letter’s reason: the message was to be delivered by a time, and that has passed. It was not started.',
    ['nobody received in time, or earlier messages took too long'],
    ['viaduct mailbox redrive GROUP ID delivers it after all', 'give expiresInMs more time'],
  ],
  MALFORMED: [
    'DATA_LOSS',
    'A dead letter’s reason: what lay in the mailbox is no message.',
    [
      'a program wrote the file in place instead of renaming a whole one, and ended in between',
      'it is no JSON, lacks `type`, or a field is of a wrong kind',
    ],
    [
      'viaduct mailbox show GROUP ID shows its bytes and what is wrong with them',
      'write it elsewhere on the same disk, then rename it into messages/',
      'it cannot be redriven: send it anew, then viaduct mailbox purge GROUP ID',
    ],
  ],
  NOT_A_FILE: [
    'FAILED_PRECONDITION',
    'A dead letter’s reason: what lay there is a link, a folder, a pipe or a device. It was not followed or opened.',
    [
      'a program linked a file into messages/ instead of renaming it',
      'somebody tries what the receiver may read',
    ],
    ['copy the file to the same disk and rename it into messages/'],
  ],
  TOO_LARGE: [
    'RESOURCE_EXHAUSTED',
    'A dead letter’s reason: the file is over the limit of a message, 10 MiB of payload. It was not read.',
    ['a program puts large data into a message'],
    ['keep the data in a file of its own and send its path'],
  ],
}
