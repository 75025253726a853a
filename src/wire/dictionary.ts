/**
 * The words that both sides of a method already have: the shapes (ordered key lists) of its objects.
 * Derived from the contract, so neither side keeps state for the other and a hub needs none.
 */
export interface Dictionary {
  /** Each shape is an ordered list of property names. */
  readonly shapes: readonly (readonly string[])[]
}
