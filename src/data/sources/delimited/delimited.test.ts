import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { firstRecord } from './header.js'
import { cutDelimited, parseCells } from './parse.js'

async function* chunksOf(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size)
}

describe('records of CSV', () => {
  // A carriage return inside a quoted cell is kept only before a line feed, where both become one line feed.
  const cell = fc.string({ unit: fc.constantFrom('a', 'é', '"', ',', ';', '\n', ' ') })
  const quote = (text: string): string => `"${text.replaceAll('"', '""')}"`

  it('are those that were written, whatever the cells and the chunks are', async () => {
    const rows = fc.array(fc.array(cell, { minLength: 2, maxLength: 2 }), { minLength: 1 })
    await fc.assert(
      fc.asyncProperty(
        rows,
        fc.constantFrom('\n', '\r\n'),
        fc.integer({ min: 1, max: 30 }),
        async (cells, end, size) => {
          const always = (text: string): string => (/[",\n]/.test(text) ? quote(text) : text)
          const file = Buffer.from(cells.map(row => row.map(always).join(',') + end).join(''))
          const dialect = { delimiter: ',', quoted: true }
          const found: string[][] = []
          for await (const { bytes, start } of cutDelimited(chunksOf(file, size), 'a.csv', dialect)) {
            expect(file.subarray(start, start + bytes.length).equals(bytes)).toBe(true)
            found.push(parseCells(Buffer.from(bytes).toString(), dialect, 'a.csv'))
          }
          expect(found).toEqual(cells)
        },
      ),
    )
  })
})

describe('a wrong quote', () => {
  const rows = async (text: string): Promise<(string | undefined)[]> => {
    const found: (string | undefined)[] = []
    const dialect = { delimiter: ',', quoted: true }
    for await (const { bytes, where, problem } of cutDelimited(
      chunksOf(Buffer.from(text), text.length > 1000 ? 1 << 18 : 5),
      'a.csv',
      dialect,
    ))
      found.push(problem === undefined ? Buffer.from(bytes).toString() : `${where}: ${problem.split(';')[0]}`)
    return found
  }
  const opened = 'a quote is opened in this record and'

  it('costs one row, and the next line begins another one', async () => {
    expect(await rows('a,b\nc,"d\ne,f\ng,h\n')).toEqual(['a,b', `a.csv:2: ${opened} never closed`, 'e,f', 'g,h'])
    // A quoted cell comes later, also one of two lines: their quotes close and open the wrong one.
    expect(await rows('c,"d\ne,f\n"g, h",i\n"k\nl",m\n')).toEqual([
      `a.csv:1: ${opened} closed in the middle of a cell (a.csv:3)`,
      'e,f',
      '"g, h",i',
      '"k\nl",m',
    ])
    expect(await rows('"a\n"b\n"c\nd,e')).toEqual([
      `a.csv:1: ${opened} closed in the middle of a cell (a.csv:2)`,
      `a.csv:2: ${opened} closed in the middle of a cell (a.csv:3)`,
      `a.csv:3: ${opened} never closed`,
      'd,e',
    ])
  })

  it('is given up at the size of the longest record, in time that grows with the file alone', async () => {
    const line = `${'x'.repeat(1023)}\n`
    const found = await rows(`"open\n${line.repeat((1 << 14) + 8)}"a","b"\n`)
    expect(found.slice(0, 2)).toEqual([`a.csv:1: ${opened} not closed within 16.00 MiB`, line.trim()])
    expect([found.length, found.at(-1)]).toEqual([(1 << 14) + 10, '"a","b"'])
  })

  it('costs time linear in the file where every line has one', async () => {
    for (const line of ['x",",y\n', 'x,"y\nz\n', '"a\n"b\n', `a,"${'b'.repeat(50)}""\n`]) {
      const began = performance.now()
      await rows(line.repeat(Math.ceil(500_000 / line.length)))
      expect(performance.now() - began, line).toBeLessThan(5000)
    }
  })
})

describe('firstRecord', () => {
  const labels = ['good\tx', 'bad\ty', 'fine\tx', 'poor\ty', 'nice\tx', 'dull\ty']
  const cases: [first: string, rows: string[], csv: boolean, expected: string][] = [
    ['input\ttarget', ['a\tb'], false, 'header'],
    ['Sentence\tLabel', [], false, 'header'],
    ['go\twent', ['see\tsaw'], false, 'data'],
    ['word\tW ER D', ['tag\tT AE G'], false, 'data'],
    ['en\tde', ['a\tb'], false, 'header'],
    ['to\tà', ['of\tde'], false, 'data'],
    ['tag\ttagged', ['go\twent'], false, 'unclear'],
    ['March 3, 2021\t2021-03-03', ['a\tb'], false, 'data'],
    ['great film\tpositive', ['bad\tnegative', 'fine\tpositive'], true, 'data'],
    ['mail\tkind', labels, true, 'header'],
    ['mail\tkind', labels, false, 'data'],
    ['mail\tlabel', labels, false, 'header'],
    ['number\tname', ['1 a\tb c', '2 a\tb d', '3 a\te f', '4 a\tg h', '5 i\tj k'], true, 'header'],
    ['dog\tdogs', ['cat\tcats'], true, 'unclear'],
    ['a\ta', ['b\tc'], true, 'data'],
    ['\ttext\tlabel', ['0\ta\tb', '1\tc\td'], true, 'header'],
  ]
  for (const [first, rows, csv, expected] of cases) {
    it(`${JSON.stringify(first)} before ${JSON.stringify(rows[0] ?? '')}${csv ? ' in CSV' : ''}: ${expected}`, () => {
      const split = [first, ...rows].map(row => row.split('\t'))
      expect(firstRecord(split, csv)).toBe(expected)
    })
  }
})
