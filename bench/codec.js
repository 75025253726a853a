/**
 * Times one encode and decode of a small call, against the alternatives: interleaved rounds, medians.
 * Run with `node bench/codec.js [rounds]` after a build.
 */
import v8 from 'node:v8'
import { Packr } from 'msgpackr'
import { BodyEncoder, decodeBody } from '../dist/wire/body.js'
import { makeDictionary } from '../dist/wire/dictionary.js'

const ROUNDS = Number(process.argv[2] ?? 15)
const PASSES = 20_000
const LIMITS = { maxDepth: 64, maxKeys: 10_000 }

const call = (id) => ({
  id,
  method: 'pages.analyze',
  args: {
    url: 'https://example.org/a/b/c?query=1',
    title: 'Some title of a page',
    depth: 3,
    tags: ['alpha', 'beta', 'gamma'],
    options: { deep: true, lang: 'en', limit: 250 },
  },
  trace: '4bf92f3577b34da6a3ce929d0e0e4736',
})
const rows = Array.from({ length: 100 }, (_, id) => ({
  id,
  name: `row ${id}`,
  score: id * 0.37,
  done: id % 2 === 0,
}))
const SHAPES = [
  ['id', 'method', 'args', 'trace'],
  ['url', 'title', 'depth', 'tags', 'options', 'extra'],
  ['deep', 'lang', 'limit'],
  ['id', 'name', 'score', 'done'],
]

function ways() {
  const encoder = new BodyEncoder()
  const target = Buffer.alloc(64 * 1024)
  const dictionary = makeDictionary(SHAPES)
  const records = new Packr({ useRecords: true, structures: [] })
  const plain = new Packr({ useRecords: false })
  return {
    'JSON to Buffer': [
      (value) => Buffer.from(JSON.stringify(value)),
      (bytes) => JSON.parse(bytes.toString('utf8')),
    ],
    'v8.serialize': [(value) => v8.serialize(value), (bytes) => v8.deserialize(bytes)],
    msgpackr: [(value) => plain.pack(value), (bytes) => plain.unpack(bytes)],
    'msgpackr, records kept': [(value) => records.pack(value), (bytes) => records.unpack(bytes)],
    'viaduct, self-describing': [
      (value) => encoder.encodeInto(target, 0, value),
      (end) => decodeBody(target, 0, end, LIMITS),
    ],
    'viaduct, dictionary': [
      (value) => encoder.encodeInto(target, 0, value, dictionary),
      (end) => decodeBody(target, 0, end, LIMITS, dictionary),
    ],
  }
}

function median(numbers) {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]
}

function nanoseconds(passes, run) {
  const start = process.hrtime.bigint()
  for (let pass = 0; pass < passes; pass += 1) run(pass)
  return Number(process.hrtime.bigint() - start) / passes
}

function compare(title, values, passes) {
  const results = new Map()
  for (const name of Object.keys(ways())) results.set(name, { encode: [], decode: [], bytes: 0 })
  const all = ways()
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, [encode, decode]] of Object.entries(all)) {
      const result = results.get(name)
      const encoded = encode(values[0])
      result.bytes = typeof encoded === 'number' ? encoded : encoded.length
      result.encode.push(nanoseconds(passes, (pass) => encode(values[pass % values.length])))
      const kept = encode(values[0])
      result.decode.push(nanoseconds(passes, () => decode(kept)))
    }
  }
  console.log(`\n${title}`)
  for (const [name, { encode, decode, bytes }] of results) {
    const [out, back] = [median(encode), median(decode)]
    const cells = [out, back, out + back].map((ns) => ns.toFixed(0).padStart(8))
    console.log(`${name.padEnd(26)}${String(bytes).padStart(6)} B ${cells.join('')} ns`)
  }
}

console.log(
  `${''.padEnd(26)}${'size'.padStart(8)} ${['encode', 'decode', 'both'].map((s) => s.padStart(8)).join('')}`,
)
compare(
  'a call',
  Array.from({ length: 16 }, (_, id) => call(id * 40)),
  PASSES,
)
compare('100 rows', [rows], PASSES / 100)
