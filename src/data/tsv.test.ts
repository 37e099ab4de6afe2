import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { FileError } from '../base/errors.js'
import type { Example } from './source.js'
import { MAX_LINE_BYTES, readPairs } from './tsv.js'

const folder = mkdtempSync(join(tmpdir(), 'switchyard-tsv-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function read(content: string | Uint8Array): Promise<Example[]> {
  const path = join(folder, 'pairs.tsv')
  writeFileSync(path, content)
  const examples: Example[] = []
  for await (const example of readPairs(path)) examples.push(example)
  return examples
}

const pairs = async (content: string | Uint8Array): Promise<string[][]> =>
  (await read(content)).map(e => [e.input, e.target])

describe('readPairs', () => {
  it('reads one pair a line', async () => {
    expect(await read('ab\tA B\nc\tC\n')).toEqual([
      { input: 'ab', target: 'A B', alternatives: [] },
      { input: 'c', target: 'C', alternatives: [] },
    ])
  })

  it('takes CRLF, blank lines, a byte order mark, spaces around columns, and a last line without an end', async () => {
    expect(await pairs('\ufeffab\tA B\r\n\r\n  \n c d \t C \r\n\ne\tE')).toEqual([
      ['ab', 'A B'],
      ['c d', 'C'],
      ['e', 'E'],
    ])
    expect(await pairs('')).toEqual([])
    expect(await pairs('\n')).toEqual([])
  })

  it('joins lines and characters that are cut by the end of a chunk', async () => {
    const lines = Array.from({ length: 20_000 }, (_, i) => [`wörd\u{1f600}${i}`, `t ${i}`])
    expect(await pairs(lines.map(columns => columns.join('\t')).join('\n'))).toEqual(lines)
  })

  it('takes a line of the greatest length', async () => {
    const [[input]] = await pairs(`a\tb\n${'x'.repeat(MAX_LINE_BYTES - 2)}\ty\n`).then(all => all.slice(1))
    expect(input.length).toBe(MAX_LINE_BYTES - 2)
  })

  const bad: [string, string | Uint8Array, RegExp][] = [
    ['one column', 'a\tb\n\nab\n', /pairs\.tsv:3: expected 2 columns \(input TAB target\), got 1: "ab"/],
    ['three columns', 'a\tb\tc\n', /pairs\.tsv:1: expected 2 columns .* got 3/],
    ['an empty input', 'a\tb\n \tb', /pairs\.tsv:2: the input \(first column\) is empty/],
    ['an empty target', 'a\t\r\n', /pairs\.tsv:1: the target \(second column\) is empty/],
    [
      'bytes that are not UTF-8',
      Buffer.concat([Buffer.from('a\tb\nc\t'), Buffer.from([0xff, 0x0a])]),
      /pairs\.tsv:2: not valid UTF-8/,
    ],
    ['a character cut short', Buffer.from([0x61, 0x09, 0xc3]), /pairs\.tsv:1: not valid UTF-8/],
    ['UTF-16', Buffer.from('\ufeffa\tb\n', 'utf16le'), /pairs\.tsv:1: not valid UTF-8/],
    [
      'a line too long',
      `a\tb\n${'x'.repeat(MAX_LINE_BYTES - 1)}\ty\n`,
      /pairs\.tsv:2: the line is longer than 1048576 bytes/,
    ],
    ['a file without lines', 'x'.repeat(3 * MAX_LINE_BYTES), /pairs\.tsv:1: the line is longer/],
  ]
  for (const [what, content, message] of bad) {
    it(`refuses ${what}, with file and line`, async () => {
      await expect(read(content)).rejects.toThrow(FileError)
      await expect(read(content)).rejects.toThrow(message)
    })
  }

  it('says when there is no such file, or a folder', async () => {
    const first = (path: string) => readPairs(path).next()
    await expect(first(join(folder, 'none.tsv'))).rejects.toThrow(/none\.tsv: there is no such file/)
    await expect(first(folder)).rejects.toThrow(/this is a folder/)
    await expect(first(folder)).rejects.toThrow(FileError)
  })
})
