const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' })
/** A full stop after these does not end a sentence. */
const ABBREVIATION =
  /(?:^|[\s([])(?:Dr|Mr|Mrs|Ms|Prof|St|Sr|Jr|vs|etc|e\.g|i\.e|cf|No|Fig|p|pp|\p{Lu})\.\s*$/u
/** A sentence without an end is cut here, at white space where there is some. */
const SENTENCE_CHARS = 2_000
/** The segmenter's time grows with the square of what it is given at once, so it is given so much. */
const WINDOW_CHARS = 4_000

/** The sentences of one paragraph, trimmed, none empty and none longer than 2,000 characters. */
export function* sentencesOf(paragraph: string): Generator<string> {
  let held = ''
  for (const segment of segmentsOf(paragraph)) {
    held += segment
    if (held.length < SENTENCE_CHARS && ABBREVIATION.test(held.slice(-16))) continue
    yield* bounded(held)
    held = ''
  }
  yield* bounded(held)
}

/** Window by window; the last segment of each may go on behind it, and opens the next. */
function* segmentsOf(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const window = text.slice(at, at + WINDOW_CHARS)
    const isLast = at + window.length === text.length
    const segments = Array.from(segmenter.segment(window), ({ segment }) => segment)
    if (!isLast && segments.length > 1) segments.pop()
    for (const segment of segments) {
      yield segment
      at += segment.length
    }
  }
}

function* bounded(sentence: string): Generator<string> {
  let rest = sentence.trim()
  while (rest.length > SENTENCE_CHARS) {
    const space = rest.lastIndexOf(' ', SENTENCE_CHARS)
    const end = space > SENTENCE_CHARS / 2 ? space : SENTENCE_CHARS
    yield rest.slice(0, end).trim()
    rest = rest.slice(end).trim()
  }
  if (rest !== '') yield rest
}
