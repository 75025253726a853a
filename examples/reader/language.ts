import { CategoryModel } from './category.ts'
import { trainingPassages } from './corpus.ts'
import { findEntities } from './entities.ts'
import { breathe } from './parse.ts'
import type { Analysis, AnalysisInput, Entity } from './schemas.ts'
import { sentimentOf } from './sentiment.ts'

/** What the AI process knows: learned once when it starts, from the passages of the corpus. */
export class Language {
  readonly #categories: CategoryModel

  constructor(categories: CategoryModel = CategoryModel.train(trainingPassages())) {
    this.#categories = categories
  }

  /**
   * Category, tone and names of one document. Lets others run every few milliseconds and throws the
   * signal's reason once it is aborted.
   */
  async analyze({ title, headings, text }: AnalysisInput, signal?: AbortSignal): Promise<Analysis> {
    const entities = await namesIn(text, signal)
    // A title may be a mere file name: alone it says nothing.
    const blank = text === '' && headings.length === 0
    const subject = blank ? '' : [title, ...headings, text].join('\n')
    return { ...this.#categories.classify(subject), sentiment: sentimentOf(text), entities }
  }
}

/** {@link findEntities} for a process that has other work too: lets it run every few milliseconds. */
export async function namesIn(text: string, signal?: AbortSignal): Promise<Entity[]> {
  const entities = findEntities(text)
  for (;;) {
    await breathe()
    signal?.throwIfAborted()
    const step = entities.next()
    if (step.done === true) return step.value
  }
}
