import { Functions } from './functions.ts'
import { References } from './references.ts'

/** Both sides of functions as arguments. A link without them sends none and refuses those that come. */
export interface CallbackSides {
  readonly Functions: typeof Functions
  readonly References: typeof References
}

export const callbacks: CallbackSides = { Functions, References }
