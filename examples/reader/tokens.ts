const WORD = /[\p{L}\p{M}]+(?:['’][\p{L}\p{M}]+)*/gu
/** Longer runs of letters are no words: encoded data, most often. */
const WORD_CHARS = 40

/** Too common to say anything of a subject. */
const COMMON = new Set(
  `a about after again all also an and any are as at be because been before being below between both but by
  can could did do does down during each either even every few first for from further had has have having he
  her here him his how i if in into is it its itself just last let like made make many may me might more most
  much must my new no nor not now of off on once one only or other our out over own per put said same say says
  second see she should since so some such than that the their them then there these they this those three
  through to too two under until up upon use used using very was we well were what when where which while who
  whom why will with within without would yet you your`.split(/\s+/),
)

/** Words in lower case, in order, without anything that is not a letter. */
export function* wordsOf(text: string): Generator<string> {
  for (const [word] of text.matchAll(WORD)) {
    if (word.length <= WORD_CHARS) yield word.toLowerCase().replaceAll('’', "'")
  }
}

/** Words that may tell a subject: common ones left out, endings taken off. */
export function* termsOf(text: string): Generator<string> {
  for (const word of wordsOf(text)) {
    const plain = word.replace(/'s$/, '')
    if (plain.length > 2 && !COMMON.has(plain)) yield stem(plain)
  }
}

/** Takes plural, -ed, -ing and -ly away: the first step of Porter's stemmer, near enough for counting. */
export function stem(word: string): string {
  let root = word
  if (root.endsWith('ies') && root.length > 4) root = `${root.slice(0, -3)}y`
  else if (/(?:s|x|z|ch|sh)es$/.test(root)) root = root.slice(0, -2)
  else if (root.endsWith('s') && !/(?:ss|us|is)$/.test(root) && root.length > 3) root = root.slice(0, -1)
  for (const ending of ['ing', 'ed', 'ly']) {
    const rest = root.slice(0, -ending.length)
    if (!root.endsWith(ending) || rest.length < 3 || !/[aeiouy]/.test(rest)) continue
    root = /([bdgklmnprt])\1$/.test(rest) ? rest.slice(0, -1) : rest
    break
  }
  return root.length > 3 && root.endsWith('e') ? root.slice(0, -1) : root
}
