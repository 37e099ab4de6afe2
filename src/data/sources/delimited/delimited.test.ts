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
