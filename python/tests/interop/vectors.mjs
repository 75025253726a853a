/**
 * The values of vectors/values.json between this hub's own peer and a peer of another language: sent as values, as
 * the bodies of a sender that keeps no rule, and as what no sender may send.
 */
import { readFileSync } from 'node:fs'
import { transform } from 'esbuild'

const root = new URL('../../../', import.meta.url)
const read = (path) => readFileSync(new URL(path, root), 'utf8')
const { code: transformed } = await transform(read('test/wire/notation.ts'), { loader: 'ts', format: 'esm' })
/** Its envelopes are of the class that the hub's own encoder knows. */
const code = transformed.replace('../../src/wire/envelope.ts', new URL('dist/wire/envelope.js', root).href)
const { binaryClass, fromHex, same, segmentOf, toHex, valueFrom } = await import(
  `data:text/javascript,${encodeURIComponent(code)}`
)
const vectors = JSON.parse(read('vectors/values.json'))
/** The dictionaries that cases name, each once: `vectors.<its index>` is the method that has it, on either side. */
const dictionaries = [
  ...new Set(
    [...vectors.values, ...vectors.accepted, ...vectors.bad]
      .filter(({ shapes }) => shapes !== undefined)
      .map(({ shapes }) => JSON.stringify(shapes)),
  ),
]
/** Bounds of their own, and no body at all, are nothing that a link has. */
const onLinks = ({ hex, maxDepth, maxKeys }) => hex !== '' && maxDepth === undefined && maxKeys === undefined
/** A function may be sent to one peer. */
const refusedAsInput = ({ name }) => !name.startsWith('a function')

/** Stands for a body that is sent as it is. */
class Raw {
  constructor({ hex, segments = [] }) {
    this.bytes = fromHex(hex)
    this.segments = segments.map(segmentOf)
  }
}

function sendsRaw(BodyEncoder) {
  const { encodeInto } = BodyEncoder.prototype
  BodyEncoder.prototype.encodeInto = function (target, at, value, dictionary) {
    if (!(value instanceof Raw)) return encodeInto.call(this, target, at, value, dictionary)
    encodeInto.call(this, target, at, null)
    if (target.length - at < value.bytes.length) return -1
    target.set(value.bytes, at)
    this.segments = [...value.segments]
    return at + value.bytes.length
  }
}

/** What `node.*` serves of all this. */
export function vectorHandlers({ hub, plain, settle, BodyEncoder, makeDictionary }) {
  sendsRaw(BodyEncoder)
  const encoder = new BodyEncoder()
  const method = ({ shapes }, name) => {
    if (shapes === undefined) return { ...plain, name, kind: 'call' }
    const dictionary = makeDictionary(shapes)
    const number = dictionaries.indexOf(JSON.stringify(shapes))
    const parts = { input: dictionary, output: dictionary, fingerprint: '00c0ffee00c0ffee' }
    return { ...plain, ...parts, name: `vectors.${number}`, kind: 'call' }
  }
  const all = [{}, ...dictionaries.map((shapes) => ({ shapes: JSON.parse(shapes) }))]
  const methods = all.map((each) => method(each, 'vectors.echo'))
  const methodOf = ({ shapes }) =>
    methods[shapes === undefined ? 0 : dictionaries.indexOf(JSON.stringify(shapes)) + 1]
  // The far peer serves `vectors.*`, and here `node.vectors.*` are the same.
  for (const each of methods) hub.peer.handle({ ...each, name: `node.${each.name}` }, (input) => input)

  // Envelopes are opened by whoever gets them.
  const good = vectors.values.filter(
    ({ needs, value }) =>
      (needs === undefined || binaryClass(needs) !== undefined) &&
      !JSON.stringify(value).includes('$envelope'),
  )
  const call = (target, each, input) => settle(hub.peer.call(methodOf(each), input, { target }))
  /** The first call over a route describes itself; those after it use the dictionary. */
  const warm = (target) => Promise.all(all.map((each) => call(target, each, null)))
  const isBack = ({ value, hex }, back) =>
    'value' in back &&
    same(back.value, valueFrom(value)) &&
    (hex === undefined || toHex(encoder.encode(back.value)) === hex)

  return {
    /** Names of the good values that a far echo has changed, and how many were sent. */
    async vectorsChanged(target) {
      await warm(target)
      const changed = []
      let sent = 0
      const look = (each, back) => {
        sent++
        if (!isBack(each, back)) changed.push(each.name)
      }
      for (const each of good) {
        look(each, await call(target, {}, valueFrom(each.value)))
        if (each.shapes !== undefined) look(each, await call(target, each, valueFrom(each.value)))
      }
      for (const { hex, segments, ...each } of vectors.accepted)
        look(each, await call(target, each, new Raw({ hex, segments })))
      return { sent, changed }
    },
    /** The same as the items of an upload and of a stream. */
    async vectorsStreamed(target) {
      const upload = good.map(({ value }) => valueFrom(value))
      const each = { ...plain, name: 'vectors.each', kind: 'stream', upload: true }
      const back = []
      for await (const item of hub.peer.stream(each, undefined, { target, upload })) back.push(item)
      const changed = good.filter((one, index) => !isBack(one, { value: back[index] }))
      return { sent: back.length, changed: changed.map(({ name }) => name) }
    },
    /** What becomes of each body that is refused, sent to a far echo. */
    async vectorsRefused(target) {
      await warm(target)
      const refused = []
      for (const each of vectors.bad.filter(onLinks))
        refused.push([each.name, await call(target, each, new Raw(each))])
      return refused
    },
    /** What becomes of each that a far handler answers with. */
    async vectorsAnswered({ target, list }) {
      const answered = []
      const echo = { ...plain, name: `vectors.${list}`, kind: 'call' }
      for (const { name } of vectors[list].filter(
        (each) => list !== 'bad' || (onLinks(each) && !each.shapes),
      ))
        answered.push([name, await settle(hub.peer.call(echo, name, { target }))])
      return answered
    },
    /** What becomes of each that cannot be sent. */
    async vectorsUnsendable(target) {
      const refused = []
      for (const each of vectors.unsendable.filter(refusedAsInput))
        refused.push([each.name, await call(target, {}, valueFrom(each.value))])
      return refused
    },
    'vectors.bad': (name) => new Raw(vectors.bad.find((each) => each.name === name)),
    'vectors.unsendable': (name) => valueFrom(vectors.unsendable.find((each) => each.name === name).value),
  }
}
