/** Names S0's retry strategy; wraps `repeat`. */

import { Latest } from '../../core/latest.ts'
import { repeat } from '../../policies/repeat.ts'
import { ViaductError } from '../../wire/errors.ts'
import type { IPCMessage, IPCResponse } from './message.ts'

export interface RetryPolicy {
  /** Default 3. */
  maxRetries: number
  /** Default 100. */
  initialDelayMs: number
  /** Default 5,000. */
  maxDelayMs: number
  /** Default 2. */
  backoffMultiplier: number
  /** What is added to a delay, to avoid a thundering herd. */
  addJitter(delay: number): number
}

/** Whatever sends messages: a router, or what stands for one in a test. */
export interface IPCSender {
  send(message: IPCMessage): Promise<IPCResponse>
}

/** Routers that are open, for functions that are not given one. */
export const routers = new Latest<IPCSender>()

/** Uniform in −delay … 0: with the delay itself the sum is full jitter. */
export function addJitter(delay: number): number {
  return -Math.random() * delay
}

export const defaultRetryPolicy: Readonly<RetryPolicy> = {
  maxRetries: 3,
  initialDelayMs: 100,
  maxDelayMs: 5_000,
  backoffMultiplier: 2,
  addJitter,
}

/**
 * Sends a message again while its response says that this is safe and may help; resolves to the last response.
 *
 * @param router default: the one that was opened last and is open still.
 * @throws ViaductError FAILED_PRECONDITION / NOT_OPEN when there is none.
 */
export async function sendWithRetry(
  message: IPCMessage,
  policy: Readonly<RetryPolicy> = defaultRetryPolicy,
  router: IPCSender | undefined = routers.get(),
): Promise<IPCResponse> {
  if (!router) {
    throw new ViaductError('FAILED_PRECONDITION', 'sendWithRetry: no router is open: open one, or pass it', {
      reason: 'NOT_OPEN',
    })
  }
  return repeat(() => router.send(message), {
    maxRetries: policy.maxRetries,
    isRetryable: ({ error }) => error?.retryable === true,
    delayMs: (attempt) => {
      const delay = Math.min(policy.maxDelayMs, policy.initialDelayMs * policy.backoffMultiplier ** attempt)
      return Math.max(0, delay + policy.addJitter(delay))
    },
  })
}
