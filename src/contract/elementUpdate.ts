import { oneOf, record, type Shape, text } from './shape.ts'

/** Properties of page elements whose value is a text that is shown, and never read as markup, script or address. */
const TEXTS = ['textContent', 'value', 'title', 'placeholder', 'alt', 'ariaLabel', 'className'] as const
/** Properties that are true or false; `'true'` and `'false'` where a value is a text. */
const FLAGS = ['hidden', 'disabled', 'checked', 'readOnly'] as const
/** Elements whose text runs, or styles the page. */
const REFUSED = new Set(['script', 'style'])
const MAX_VALUE = 1024 * 1024

export type ElementProperty = (typeof TEXTS)[number] | (typeof FLAGS)[number]

/** One property of one element of a page, as data. */
export interface ElementUpdate {
  readonly elementId: string
  readonly property: ElementProperty
  readonly value: string
}

/** An id without white space, as HTML has them. */
export const elementUpdate: Shape<ElementUpdate> = record({
  elementId: text(256, /^\S+$/),
  property: oneOf(...TEXTS, ...FLAGS),
  value: text(MAX_VALUE),
})

/** What is used of a page: `document` will do. */
export interface PageLike {
  getElementById(id: string): { readonly localName: string } | null
}

const flags: ReadonlySet<string> = new Set(FLAGS)

/**
 * Applies an update to a page. The value is assigned to the property and becomes no part of any script; what is no
 * update, however it came here, changes nothing.
 *
 * @returns whether there was such an element with such a property to change.
 */
export function applyElementUpdate(page: PageLike, update: ElementUpdate): boolean {
  const result = elementUpdate['~standard'].validate(update)
  if (result.issues) return false
  const { elementId, property, value } = result.value
  const element = page.getElementById(elementId)
  if (!element || REFUSED.has(element.localName.toLowerCase()) || !(property in element)) return false
  if (!flags.has(property)) return Reflect.set(element, property, value)
  return (value === 'true' || value === 'false') && Reflect.set(element, property, value === 'true')
}
