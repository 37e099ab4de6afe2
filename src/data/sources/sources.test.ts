import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { ConfigError, FileError } from '../../base/errors.js'
import type { Fields } from '../preprocessor.js'
import {
  csvSource,
  fileSource,
  jsonLinesSource,
  parquetSource,
  textLineSource,
  tfExampleSource,
} from './file-sources.js'
import { functionSource } from './iterable-source.js'
import { jsonLinesFormat } from './json-lines.js'
import type { Source } from './source.js'

const folder = mkdtempSync(join(tmpdir(), 'switchyard-sources-'))
vi.stubEnv('SWITCHYARD_CACHE', join(folder, 'cache'))
afterAll(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

async function read(source: Source, split?: string): Promise<Fields[]> {
  const dataset = await source.open(split)
  try {
    // In reverse order: an example depends on no other.
    return Array.from({ length: dataset.length }, (_, i) => dataset.get(dataset.length - 1 - i)).reverse()
  } finally {
    dataset.close()
  }
}

describe('text lines and JSON Lines', () => {
  it('are read with a byte order mark, CRLF, and a last line without an end', async () => {
    const path = write('lines.txt', '\ufeffone\r\n\r\ntwo \nthree')
    expect(await read(textLineSource(path))).toEqual(['one', '', 'two ', 'three'].map(text => ({ text })))
  })

  it('have the keys of the objects, without nulls', async () => {
    const path = write('a.jsonl', '{"a": "x", "b": null, "ids": [1, 2]}\n\n{"a": "ü\\n"}\n')
    expect(await read(jsonLinesSource(path))).toEqual([{ a: 'x', ids: [1, 2] }, { a: 'ü\n' }])
  })

  it('keep all digits of integers, and nothing else changes', async () => {
    const line =
      '{"id": 9007199254740993, "ids": [-12345678901234567890, 7], "s": "9007199254740993\\" 1", "x": 0.1234567890123456}'
    expect(await read(jsonLinesSource(write('long.jsonl', `${line}\n`)))).toEqual([
      { id: 9007199254740993n, ids: [-12345678901234567890n, 7], s: '9007199254740993" 1', x: 0.1234567890123456 },
    ])
  })

  it('may be long and have digits', () => {
    const text = `1234567890123456 \\" ${'a'.repeat(20_000_000)}\n\\`
    const line = `{"text": ${JSON.stringify(text)}, "id": 9007199254740993}`
    const record = jsonLinesFormat.parse(Buffer.from(line), 'text.jsonl:1')!
    expect([record.id, record.text === text]).toEqual([9007199254740993n, true])
  })

  it('refuse wrong lines, with their numbers', async () => {
    const path = write('wrong.jsonl', '{"a": 1}\n{"a": \n[1]\n')
    await expect(read(jsonLinesSource(path))).rejects.toThrow(
      /wrong\.jsonl:2: not JSON: .*\n.*wrong\.jsonl:3: expected an object/s,
    )
    const array = write('array.json', ' [{"a": 1}]')
    await expect(read(fileSource(array))).rejects.toThrow(/array\.json: this file is one JSON array; write each/)
  })
})

describe('CSV and TSV', () => {
  it('take quoted cells with delimiters, quotes and line ends', async () => {
    const path = write('quoted.csv', 'text,label\r\n"a, ""b""\r\nc",x\r\n"",y\r\n plain "q" ,"z"\r\n')
    expect(await read(csvSource(path))).toEqual([
      { text: 'a, "b"\nc', label: 'x' },
      { text: '', label: 'y' },
      { text: 'plain "q"', label: 'z' },
    ])
  })

  it('recognize the delimiter and the header', async () => {
    const columns = async (name: string, content: string): Promise<string[]> =>
      Object.keys((await read(fileSource(write(name, content))))[0])
    expect(await columns('semicolon.csv', 'text;label\nso, so;x\nyes;y\n')).toEqual(['text', 'label'])
    expect(await columns('pairs.txt', 'one, two\ta\nthree\tb\n')).toEqual(['1', '2'])
    expect(await columns('tabs.csv', 'input\ttarget\na b\tb\n')).toEqual(['input', 'target'])
    expect(await columns('pandas.csv', ',text,label\n0,a,x\n1,b,y\n')).toEqual(['1', 'text', 'label'])
    expect(await columns('spam.csv', `v1,v2\n${'ham,see you\n'.repeat(4)}${'spam,win now\n'.repeat(4)}`)).toEqual([
      'v1',
      'v2',
    ])
    expect(await columns('none.csv', 'good film,positive\nbad film,negative\nfine,positive\n')).toEqual(['1', '2'])
  })

  it('reads quotes of a TSV file as they are, unless some cell needs quoting', async () => {
    const plain = write('plain.tsv', '"Go!"\the said\n5" pipe\tx\n')
    expect(await read(fileSource(plain))).toEqual([
      { 1: '"Go!"', 2: 'he said' },
      { 1: '5" pipe', 2: 'x' },
    ])
    const quoted = write('quoted.tsv', '"a ""b"""\tx\n"c\nd"\ty\n')
    expect(await read(fileSource(quoted))).toEqual([
      { 1: 'a "b"', 2: 'x' },
      { 1: 'c\nd', 2: 'y' },
    ])
  })

  it('asks if the first line may be a header or an example', async () => {
    const path = write('unclear.csv', 'dog,dogs\ncat,cats\nfox,foxes\n')
    await expect(read(csvSource(path))).rejects.toThrow(
      /unclear\.csv:1: is this line a header .* "dog,dogs" may be either: give --header or --no-header/,
    )
    expect((await read(csvSource(path, { header: false }))).length).toBe(3)
    expect(await read(csvSource(path, { header: true }))).toContainEqual({ dog: 'fox', dogs: 'foxes' })
  })

  it('refuse records with other columns and quotes that are never closed', async () => {
    const path = write('ragged.csv', 'text,label\na,b\nc\n"d"e,f\n')
    await expect(read(csvSource(path))).rejects.toThrow(
      /ragged\.csv:3: expected 2 columns .*, got 1: "c"\n.*ragged\.csv:4: column 1: "e,f" follows a closing quote/,
    )
    const open = write('open.csv', 'text,label\na,"b\nc,d\n')
    await expect(read(csvSource(open))).rejects.toThrow(
      /open\.csv:2: a quote is opened in this record and never closed/,
    )
  })
})

describe('files of old or foreign programs', () => {
  it('may end their lines with CR alone, also inside of cells', async () => {
    const path = write('mac.csv', 'text,label\r"a\rb",x\rc,y\r')
    expect(await read(csvSource(path))).toEqual([
      { text: 'a\nb', label: 'x' },
      { text: 'c', label: 'y' },
    ])
    expect(await read(textLineSource(write('mac.txt', 'one\r\rtwo')))).toEqual(
      ['one', '', 'two'].map(text => ({ text })),
    )
    expect(await read(jsonLinesSource(write('mac.jsonl', '{"a": 1}\r{"a": 2}\r')))).toEqual([{ a: 1 }, { a: 2 }])
  })

  it('are refused if their header has a name twice, and never learned with it', async () => {
    const path = write('twice.csv', 'text,label,text\nso,x,y\nno,x,z\n')
    await expect(read(csvSource(path))).rejects.toThrow(
      'twice.csv:1: the header names two columns "text": rename one, or say --no-header if this line is an example',
    )
  })

  it('are refused with NUL bytes, as UTF-16 without a byte order mark has them', async () => {
    const utf16 = Buffer.from('text,label\na,b\n', 'utf16le')
    const message = /1: holds a NUL byte, so this is no text file, or one in UTF-16 or UTF-32: save it as UTF-8 text/
    for (const name of ['nul.csv', 'nul.jsonl', 'nul.tsv'])
      await expect(read(fileSource(write(name, utf16)))).rejects.toThrow(message)
    await expect(read(textLineSource(write('nul.txt', 'a\n\0b\n')))).rejects.toThrow(/nul\.txt:2: holds a NUL byte/)
  })
})

describe('many files', () => {
  it('are found by patterns, unpacked, and read at random', async () => {
    mkdirSync(join(folder, 'shards'))
    const rows = Array.from({ length: 10_000 }, (_, i) => ({ text: `text ${i} ${'x'.repeat(i % 97)}` }))
    rows.splice(5, 1, { text: 'y'.repeat(300_000) })
    const lines = (from: number, to: number): string =>
      rows
        .slice(from, to)
        .map(row => `${JSON.stringify(row)}\n`)
        .join('')
    write('shards/0.jsonl.gz', gzipSync(lines(0, 4000)))
    write('shards/1.jsonl', lines(4000, 4000))
    write('shards/2.jsonl', lines(4000, 10_000))
    const source = fileSource({ train: join(folder, 'shards/*.jsonl*'), test: [join(folder, 'shards/2.jsonl')] })
    expect(source.splits).toEqual(['train', 'test'])
    const dataset = await source.open('train')
    expect(dataset.notes).toEqual([expect.stringMatching(/0\.jsonl\.gz was unpacked to .*: gzip has no random access/)])
    for (let i = 0; i < 3000; i++) {
      const at = (i * 7919) % rows.length
      expect(dataset.get(at)).toEqual(rows[at])
    }
    expect(() => dataset.get(rows.length)).toThrow(RangeError)
    dataset.close()
    expect((await read(source, 'test')).length).toBe(6000)
    expect((await source.open('train')).notes[0]).toContain('is read from its unpacked copy')
    await expect(source.open('dev')).rejects.toThrow(ConfigError)
  })

  it('says what is wrong with a path', async () => {
    await expect(read(fileSource(join(folder, 'no-*.csv')))).rejects.toThrow(/no-\*\.csv: no file matches/)
    await expect(read(fileSource(join(folder, 'missing.csv')))).rejects.toThrow(/missing\.csv: there is no such file/)
    await expect(read(fileSource(folder))).rejects.toThrow(/this is a folder: name its files/)
    await expect(read(fileSource(write('book.csv', 'PK\u0003\u0004...')))).rejects.toThrow(
      /Excel workbook.*save the sheet as CSV/,
    )
    await expect(read(fileSource(write('cut.csv.gz', gzipSync('a,b\n'.repeat(99)).subarray(0, -9))))).rejects.toThrow(
      /cut\.csv\.gz: the gzip data is damaged or cut off/,
    )
  })

  it('notices a file that changes after it was opened', async () => {
    const path = write('changing.txt', 'one\ntwo\n')
    const dataset = await textLineSource(path).open()
    writeFileSync(path, 'uno\ndue\n')
    utimesSync(path, 1, 1)
    expect(() => dataset.get(0)).toThrow(FileError)
    expect(() => dataset.get(0)).toThrow(/changing\.txt: the file has changed/)
  })
})

describe('Parquet', () => {
  it('is read by columns, with nulls left out', async () => {
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: 'text', data: ['one', 'zwei ü', null], type: 'STRING' },
        { name: 'label', data: [0n, 1n, 2n], type: 'INT64' },
        { name: 'score', data: [0.5, 1.5, 2.5], type: 'DOUBLE' },
      ],
    })
    const path = write('a.parquet', new Uint8Array(buffer))
    expect(await read(parquetSource(path))).toEqual([
      { text: 'one', label: 0n, score: 0.5 },
      { text: 'zwei ü', label: 1n, score: 1.5 },
      { label: 2n, score: 2.5 },
    ])
    expect(await read(parquetSource(path, { columns: ['label'] }))).toEqual([
      { label: 0n },
      { label: 1n },
      { label: 2n },
    ])
    const damaged = write('damaged.parquet', new Uint8Array(buffer).subarray(0, buffer.byteLength - 9))
    await expect(read(parquetSource(damaged))).rejects.toThrow(/damaged\.parquet: not a Parquet file, a damaged one/)
  })
})

describe('functionSource', () => {
  it('uses a list as it is, and copies what has no random access', async () => {
    const list = functionSource('list', split => [{ text: split! }], { splits: ['train', 'test'] })
    expect(await read(list, 'test')).toEqual([{ text: 'test' }])
    const examples = [
      { text: 'a', ids: Int32Array.of(1, 2) },
      { text: 'b', big: 2n ** 40n },
    ]
    const stream = functionSource('stream', async function* () {
      yield* examples
    } as () => AsyncIterable<Fields>)
    const dataset = await stream.open()
    expect(dataset.notes[0]).toMatch(/^the examples of stream come one after the other: they were copied to /)
    dataset.close()
    expect(await read(stream)).toEqual(examples)
  })
})

describe('TFRecord', () => {
  it('refuses a file that is none, and one that is damaged', async () => {
    await expect(read(tfExampleSource(write('text.tfrecord', 'this is no TFRecord file')))).rejects.toThrow(
      /record 1 \(at byte 0\): the checksum of its length is wrong: this is not a TFRecord file/,
    )
    await expect(read(tfExampleSource(write('short.tfrecord', 'abc')))).rejects.toThrow(/record 1 .*cut off/)
  })
})
