/** S0's queue of messages; wraps the queue that pauses and resumes. */

import { MessageQueue as Queue } from '../../policies/messageQueue.ts'
import type { IPCMessage } from './message.ts'

/** Of S0's messages, unless it is given others. */
export class MessageQueue<Message = IPCMessage> extends Queue<Message> {}
