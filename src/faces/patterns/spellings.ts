// Wraps nothing: S1 has two names for some messages, and both mean the same one.

/** The first of each is the one that S1's routing and limits use. */
const SPELLINGS: readonly (readonly string[])[] = [
  ['ai_analyze', 'ai_analyze_content'],
  ['ai_result', 'ai_analysis_result'],
  ['navigation_request', 'navigate'],
  ['sync_data', 'data_sync'],
]
const ONLY_ONE = ['navigation_complete', 'ui_update', 'message_batch', 'compressed_message']

/** All names of a message, itself among them. */
export function spellingsOf(name: string): readonly string[] {
  return SPELLINGS.find((names) => names.includes(name)) ?? [name]
}

/** Whether it is one of S1's own messages. */
export function isSeedName(name: string): boolean {
  return ONLY_ONE.includes(name) || SPELLINGS.some((names) => names.includes(name))
}
