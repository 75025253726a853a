import { untyped } from '../core/method.ts'
import type { Definition } from './definition.ts'
import { unchecked } from './schema.ts'
import type { Topic } from './topics.ts'

const NAMED: Definition = { kind: 'topic', data: unchecked() }

/** A topic of no contract: its name is known, and nothing says what its data should be. */
export function topicNamed(name: string): Topic {
  return { ...untyped(name), kind: 'topic', '~definition': NAMED }
}
