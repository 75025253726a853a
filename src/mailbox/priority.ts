/** Of two that are due, the one of higher priority is started first; within one priority the sender's order holds. */
export const PRIORITIES = ['high', 'normal', 'low'] as const

export type Priority = (typeof PRIORITIES)[number]
