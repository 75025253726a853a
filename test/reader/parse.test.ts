import { describe, expect, it } from 'vitest'
import { MAX_HEADINGS, MAX_LINKS, TEXT_CHARS } from '../../examples/reader/limits.ts'
import { kindOf, parsePage } from '../../examples/reader/parse.ts'
import { Page } from '../../examples/reader/schemas.ts'
import { sentencesOf } from '../../examples/reader/sentences.ts'
import { countWords, WordCounter } from '../../examples/reader/words.ts'
import { processorMs } from '../support/processor.ts'
import { chunked } from './folder.ts'

const parse = async (path: string, text: string): Promise<Page> =>
  Page.parse(await parsePage(path, chunked(text)))

describe('words', () => {
  it.each([
    ['', 0],
    [' \n\t\u3000 ', 0],
    ['one two  three', 3],
    ["don't stop — it’s state-of-the-art", 4],
    ['viaduct.js costs 3.14, or 1_000.', 5],
    ['-- ... "quoted" (words)', 2],
    ['naïve café 东京', 3],
    ['안녕 세상', 2],
    ['🧀 🧀', 0],
    ['𝒳 and 𝒴', 3],
    ['__proto__ constructor toString', 3],
  ])('%j has %i', (text, words) => {
    expect(countWords(text)).toBe(words)
  })

  it('are counted alike wherever the text is cut', () => {
    const text = "It's a state-of-the-art test of 漢字かな交じり文 and สวัสดีครับ, 𠀀𠀁 too. 𝒳!"
    for (let size = 1; size < text.length; size++) {
      const counter = new WordCounter()
      for (let at = 0; at < text.length; at += size) counter.push(text.slice(at, at + size))
      expect(counter.words).toBe(countWords(text))
    }
  })
})

it('sentences do not end at abbreviations and initials', () => {
  const text = 'Dr. Ada Lovelace met Mr. C. Babbage. They spoke, e.g. about engines! Did it work? Yes'
  expect([...sentencesOf(text)]).toEqual([
    'Dr. Ada Lovelace met Mr. C. Babbage.',
    'They spoke, e.g. about engines!',
    'Did it work?',
    'Yes',
  ])
  expect(Math.max(...[...sentencesOf('word '.repeat(5_000))].map((each) => each.length))).toBeLessThanOrEqual(
    2_000,
  )
})

describe('Markdown', () => {
  it('gives title, headings, links, prose and counts', async () => {
    const page = await parse(
      'guide.md',
      [
        '## Before',
        '# The *real* title &amp; more',
        'First [paragraph](https://example.org/a) here. It has `two` sentences.',
        '- item one\n- item [two](/b)',
        '> Quoted words stand here.',
        '| a | b |\n| - | - |\n| cell one | cell two |',
        '```js\nconst secret = "not prose"\n```',
        'See [ref][r] and <https://auto.example>.<br>Done ![image alt](x.png)',
        '[r]: https://example.org/ref',
      ].join('\n\n'),
    )
    expect(page.title).toBe('The real title & more')
    expect(page.headings).toEqual([
      { level: 2, text: 'Before' },
      { level: 1, text: 'The real title & more' },
    ])
    expect(page.links).toEqual([
      { href: 'https://example.org/a', text: 'paragraph' },
      { href: '/b', text: 'two' },
      { href: 'https://example.org/ref', text: 'ref' },
      { href: 'https://auto.example', text: 'https://auto.example' },
    ])
    expect(page.text).toContain('First paragraph here. It has two sentences.\nitem one\nitem two\nQuoted')
    expect(page.text).not.toContain('secret')
    expect(page.paragraphs).toBe(3)
    expect(page.sentences).toBe(7)
    expect(page.notice).toBe('')
  })

  it('takes the title of front matter and reads HTML within', async () => {
    const page = await parse(
      'a.md',
      '---\ntitle: "From above"\ntags: [x]\n---\n\n# Other\n\n<p align="center">Hello <b>there</b></p>\n',
    )
    expect(page.title).toBe('From above')
    expect(page.text).toBe('Hello there')
    expect((await parse('b.md', '---\n\nplain rule\n')).text).toBe('plain rule')
  })

  it('resolves links over the slices of a long document and does not cut code in two', async () => {
    const filler = `${'Some words in a paragraph. '.repeat(40)}\n\n`.repeat(200)
    const fence = `\`\`\`\n${'# not a heading\n\n'.repeat(8_000)}\`\`\`\n\n`
    const page = await parse(
      'long.md',
      `# T\n\n[far][Ref Name]\n\n${fence}${filler}\n\n[ref name]: https://far.example\n`,
    )
    expect(page.links).toEqual([{ href: 'https://far.example', text: 'far' }])
    expect(page.headingCount).toBe(1)
    expect(page.paragraphs).toBe(201)
  })
})

describe('HTML', () => {
  it('gives title, headings, links and prose, and leaves scripts out', async () => {
    const page = await parse(
      'a.html',
      `<!doctype html><html><head><title>Page &lt;title&gt;</title><style>p{}</style></head><body>
      <nav><a href="/home">Home</a></nav><h1>Big <em>news</em></h1><script>var evil = "<p>no</p>"</script>
      <div>Text <a href=" https://x.example ">with link</a><p>One.<p>Two<br>lines. <a href="javascript:alert(1)">bad</a>
      <ul><li>a<li>b</ul><pre>code here</pre><table><tr><td>c1<td>c2</table></div></body>`,
    )
    expect(page.title).toBe('Page <title>')
    expect(page.headings).toEqual([{ level: 1, text: 'Big news' }])
    expect(page.links.map(({ href }) => href)).toEqual(['/home', 'https://x.example'])
    expect(page.text).toBe('Home\nText with link\nOne.\nTwo lines. bad\na\nb\nc1\nc2')
    expect(page.text).not.toContain('evil')
  })

  it('is recognised without an extension', () => {
    expect([
      kindOf('x', '\n<!DOCTYPE html><p>'),
      kindOf('x', 'words'),
      kindOf('a.MD'),
      kindOf('a.htm'),
    ]).toEqual(['html', 'text', 'markdown', 'html'])
  })
})

it('plain text has paragraphs, addresses and a short first line as title', async () => {
  const page = await parse(
    'notes.txt',
    'My notes\n\nFirst one. See https://a.example/x, please.\n \nSecond\r\n\r\nThird',
  )
  expect([page.title, page.paragraphs, page.sentences]).toEqual(['My notes', 4, 5])
  expect(page.links).toEqual([{ href: 'https://a.example/x', text: 'https://a.example/x,' }])
})

it('documents of known length have that length', async () => {
  for (const words of [1, 10, 250, 5_000]) {
    const body = Array.from({ length: words }, (_, at) => `word${at}`).join(' ')
    for (const [path, text] of [
      ['a.md', `${body}\n`],
      ['a.txt', body],
      ['a.html', `<p>${body}</p>`],
    ] as const) {
      const page = await parse(path, text)
      expect(page.words).toBe(words)
      expect(page.readingSeconds).toBe(Math.round((words / 238) * 60))
    }
  }
})

describe('bad input', () => {
  it.each(['a.md', 'a.html', 'a.txt'])('an empty and a blank %s have no words and say so', async (path) => {
    const empty = await parse(path, '')
    expect([empty.words, empty.title, empty.notice]).toEqual([0, 'a', 'the file is empty'])
    const blank = await parse(path, ' \n\t\r\n \u3000\n')
    expect([blank.words, blank.sentences, blank.notice]).toEqual([0, 0, 'the file has no words'])
  })

  it('headings with the names of an object’s members are headings like others', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']
    const markdown = names.map((name) => `# ${name}\n\n[${name}]\n\n[${name}]: /x-${name}`).join('\n\n')
    const page = await parse('p.md', markdown)
    expect(page.headings.map(({ text }) => text)).toEqual(['proto', ...names.slice(1)])
    const html = await parse(
      'p.html',
      names.map((name) => `<h2>${name}</h2><constructor>x</constructor>`).join(''),
    )
    expect(html.headings.map(({ text }) => text)).toEqual(names)
    expect(Object.hasOwn(Object.prototype, 'href')).toBe(false)
  })

  it('lists are bounded and their counts are not', async () => {
    const page = await parse('many.md', '## h\n\n[l](/x) words here.\n\n'.repeat(2_000))
    expect([page.headings.length, page.headingCount]).toEqual([MAX_HEADINGS, 2_000])
    expect([page.links.length, page.linkCount]).toEqual([MAX_LINKS, 2_000])
    const long = await parse('title.md', `# ${'🧀'.repeat(500)}`)
    expect(long.title.length).toBeLessThanOrEqual(200)
    expect(long.title).not.toMatch(/\p{Cs}/u)
  })

  it.each([
    ['one line of 2 MB', 'a.md', 'word '.repeat(400_000)],
    ['one word of 2 MB', 'a.md', 'a'.repeat(2_000_000)],
    ['nested quotes', 'a.md', '>'.repeat(20_000)],
    ['many nested quotes', 'a.md', `${'>'.repeat(300)} x\n`.repeat(300)],
    ['nested lists', 'a.md', `${'- '.repeat(5_000)}x`],
    ['brackets', 'a.md', '['.repeat(100_000)],
    ['stars', 'a.md', '*a '.repeat(50_000)],
    ['unclosed tags', 'a.md', '<a '.repeat(100_000)],
    ['half a table', 'a.md', `${'|a'.repeat(50_000)}\n${'|-'.repeat(50_000)}\n`],
    ['nested elements', 'a.html', '<div>'.repeat(200_000)],
    ['open attributes', 'a.html', '<a href="'.repeat(100_000)],
    ['blank lines', 'a.txt', '\n \n'.repeat(500_000)],
    ['half characters', 'a.md', '\ud83e # \udd00 x\n'.repeat(1_000)],
  ])('%s end within bounds', async (_, path, text) => {
    const startedAt = processorMs()
    const page = await parse(path, text)
    expect(page.text.length).toBeLessThanOrEqual(TEXT_CHARS)
    expect(processorMs() - startedAt).toBeLessThan(8_000)
  })

  it('lets timers through while it parses 2 MB, and stops when told to', async () => {
    const text = '# T\n\nSome *text* with [link](http://a) here.\n\n- a\n- b\n\n'.repeat(40_000)
    let longest = 0
    let last = processorMs()
    const timer = setInterval(() => {
      longest = Math.max(longest, processorMs() - last)
      last = processorMs()
    }, 5)
    await parse('long.md', text)
    clearInterval(timer)
    expect(longest).toBeLessThan(1_000)
    const controller = new AbortController()
    const parsing = parsePage('long.md', chunked(text), { signal: controller.signal })
    setTimeout(() => controller.abort(new Error('enough')), 20)
    await expect(parsing).rejects.toThrow('enough')
  })
})
