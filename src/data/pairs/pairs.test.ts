import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { ConfigError, FileError } from '../../base/errors.js'
import { splitNames } from '../example.js'
import type { Fields } from '../preprocessor.js'
import { jsonLinesSource } from '../sources/file-sources.js'
import { pairsTask } from '../tasks/pairs.js'
import { chooseColumns } from './columns.js'
import { openInputs } from './inputs.js'
import { readPairs } from './read.js'
import type { PairsData } from './read.js'
import { pairsSettingsOf } from './settings.js'

const folder = mkdtempSync(join(tmpdir(), 'switchyard-pairs-'))
vi.stubEnv('SWITCHYARD_CACHE', join(folder, 'cache'))
afterAll(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

type Given = Omit<Parameters<typeof pairsSettingsOf>[0], 'path'>

function read(name: string, content: string | Uint8Array, given: Given = {}): Promise<PairsData> {
  const path = join(folder, name)
  writeFileSync(path, content)
  return readPairs(pairsSettingsOf({ path, ...given }))
}

const all = ({ examples }: PairsData): string[][] =>
  splitNames.flatMap(name => examples[name].map(({ input, target }) => [input, target]))

describe('a file of pairs', () => {
  it('needs no options if it has two columns', async () => {
    const data = await read('plain.tsv', '\ufeffab\tA B\r\n\r\n  \n c d \t C \r\ne\tE')
    expect(all(data)).toEqual([
      ['ab', 'A B'],
      ['c d', 'C'],
      ['e', 'E'],
    ])
    expect(data.notes).toEqual([
      expect.stringMatching(/plain\.tsv: tab-separated, without a header line; input: column 1, target: column 2$/),
      expect.stringMatching(
        /plain\.tsv: of 3 examples, 0 \(0.0%\) for the test and 0 \(0.0%\) for validation are kept, by/,
      ),
    ])
  })

  it('never learns a header line', async () => {
    expect(all(await read('header.tsv', 'input\ttarget\na\tb\n'))).toEqual([['a', 'b']])
    expect(all(await read('header.csv', 'label,text\npositive,"good, really"\n'))).toEqual([
      ['good, really', 'positive'],
    ])
    expect(all(await read('text.csv', 'good film,positive\nbad film,negative\nfine,positive\n')).length).toBe(3)
    expect(all(await read('compound.tsv', 'source_text\ttarget_text\na\tb\n'))).toEqual([['a', 'b']])
    expect(all(await read('underscores.tsv', 'text_1\tx\ntext_2\ty\n')).length).toBe(2)
    await expect(read('unclear.csv', 'dog,dogs\ncat,cats\n')).rejects.toThrow(/give --header or --no-header/)
    expect(all(await read('unclear.csv', 'dog,dogs\ncat,cats\n', { header: false })).length).toBe(2)
  })

  it('can be of JSON Lines or Parquet, with numbers as labels and lists of words', async () => {
    const lines = '{"tokens": ["a", "b"], "tags": ["X", "Y"], "n": 1}\n{"tokens": ["c"], "tags": ["X"], "n": 2}\n'
    expect(all(await read('a.jsonl', lines))).toEqual([
      ['a b', 'X Y'],
      ['c', 'X'],
    ])
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: 'id', data: [7, 8], type: 'INT32' },
        { name: 'sentence', data: ['good', 'bad'], type: 'STRING' },
        { name: 'label', data: [1n, 0n], type: 'INT64' },
      ],
    })
    const parquet = await read('a.parquet', new Uint8Array(buffer), { labels: '0=negative,1=positive' })
    expect(all(parquet).sort()).toEqual([
      ['bad', 'negative'],
      ['good', 'positive'],
    ])
  })

  it('can have its columns in nested records, of whose lists the first items are taken', async () => {
    const translation =
      '{"translation": {"en": "house", "de": "Haus"}}\n{"translation": {"en": "tree", "de": "Baum"}}\n'
    const words = [
      ['house', 'Haus'],
      ['tree', 'Baum'],
    ]
    const nested = { input: 'translation.en', target: 'translation.de' }
    expect(all(await read('nested.jsonl', translation, nested))).toEqual(words)
    const records = words.map(([en, de]) => ({ en, de }))
    // Without a schema, the writer makes a column of JSON; with one, a struct.
    const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' } as const
    const schema = [
      { name: 'root', num_children: 1 },
      { name: 'translation', num_children: 2, repetition_type: 'REQUIRED' as const },
      { ...text, name: 'en' },
      { ...text, name: 'de' },
    ]
    for (const given of [{}, { schema }]) {
      const parquet = parquetWriteBuffer({ columnData: [{ name: 'translation', data: records }], ...given })
      const name = `nested${Object.keys(given).join('')}.parquet`
      expect(all(await read(name, new Uint8Array(parquet), nested))).toEqual(words)
    }
    const answers =
      '{"q": "who", "answers": {"text": ["he", "the man"], "at": [1, 2]}, "more": [{"a": "x"}, {"a": "y"}]}\n'
    const squad = await read('squad.jsonl', answers, { input: 'q', target: 'answers.text' })
    expect(all(squad)).toEqual([['who', 'he']])
    expect(squad.notes).toContain(
      'the first item of each list in "answers.text" is taken; "answers.text.2" is the second, and "answers.text.*" all',
    )
    expect(all(await read('squad.jsonl', answers, { input: 'q', target: 'answers.text.2' }))).toEqual([
      ['who', 'the man'],
    ])
    expect(all(await read('squad.jsonl', answers, { input: 'more.a', target: 'more.*.a' }))).toEqual([['x', 'x y']])
    await expect(read('squad.jsonl', answers, { input: 'q', target: 'answers' })).rejects.toThrow(
      /squad\.jsonl:1: the target \("answers"\) is a record with the fields text, at: name one of them/,
    )
    await expect(read('squad.jsonl', answers, { input: 'q', target: 'answers.txt' })).rejects.toThrow(
      'has no column "answers.txt"; did you mean answers.text?',
    )
  })

  it('names the line of a record that is wrong', async () => {
    await expect(read('wrong.tsv', 'a\tb\n \tc\nd\t\ne\n')).rejects.toThrow(
      /wrong\.tsv:2: the input \(column 1\) is empty\n.*wrong\.tsv:3: the target \(column 2\) is empty\n.*wrong\.tsv:4: expected 2 columns/,
    )
    await expect(read('wrong.jsonl', '{"text": "a", "label": 0}\n{"text": "b"}\n')).rejects.toThrow(
      /wrong\.jsonl:2: the target \("label"\) is missing/,
    )
    expect(() => pairsSettingsOf({ path: 'x', labels: '0=a,b' })).toThrow(/value=word pairs/)
  })
})

describe('values without a meaning', () => {
  it('are each named once, with their rows: labels that --labels lacks', async () => {
    const content = 'a\t0\nb\t2\nc\t2\nd\tno\ne\t3\n'
    const labels = { 0: 'no' }
    await expect(read('labels.tsv', content, { labels })).rejects.toThrow(
      /^\S+labels\.tsv: --labels has no word for "2" \(2 rows, the first: \S+labels\.tsv:2\), "3" \(1 row: \S+labels\.tsv:5\): add these values, as in --labels "0=no,2=WORD,3=WORD"$/,
    )
    const { notes, ...data } = await read('labels.tsv', content, { labels, skipBadRows: true })
    expect(all({ notes, ...data })).toEqual([
      ['a', 'no'],
      ['d', 'no'],
    ])
    expect(notes).toContainEqual(expect.stringMatching(/^warning: \S+ --labels has no word for "2" \(2 rows/))
  })

  it('are each named once, with their rows: names of splits', async () => {
    const rows = Array.from({ length: 40 }, (_, i) => `w${i}\tx\t${i < 12 ? `part ${i}` : 'train'}\n`).join('')
    await expect(read('parts.tsv', `text\tlabel\tsplit\n${rows}`, { split: 'split' })).rejects.toThrow(
      /the column "split" has values that name no split, "part 0" \(1 row: \S+:2\), .*, 2 more values: write train, validation or test there$/,
    )
  })
})

describe('bad rows', () => {
  const lines = Array.from({ length: 400 }, (_, i) => (i % 4 === 3 ? `word ${i}` : `word ${i}\tx`))
  const content = ['text\tlabel', ...lines].join('\n')

  it('are counted, and the first ones are shown', async () => {
    await expect(read('bad.tsv', content)).rejects.toThrow(
      /bad\.tsv:5: expected 2 columns[^]*bad\.tsv:21: [^\n]*\n\(5 of 100 shown\) 100 of 400 rows are bad\. Correct them, or leave them out \(skipBadRows\)$/,
    )
    await expect(read('one.tsv', 'text\tlabel\na\tb\nc')).rejects.toThrow('(1 of 1 shown) 1 of 2 rows are bad')
  })

  it('can be skipped, with a note; the numbers of other rows stay those of the file', async () => {
    const data = await read('bad.tsv', content, { skipBadRows: true })
    expect(all(data).length).toBe(300)
    expect(data.notes).toContainEqual(
      expect.stringMatching(
        /^warning: 100 of 400 rows are bad and skipped \(--skip-bad-rows\); the first: .*bad\.tsv:5: expected/,
      ),
    )
    const task = await pairsTask(pairsSettingsOf({ path: join(folder, 'bad.tsv'), skipBadRows: true }))
    expect(task.config).toMatchObject({ skipBadRows: true })
    const wrong = ['text\tlabel', 'a', 'b', 'c\tno', 'd'].join('\n')
    await expect(read('label.tsv', wrong, { skipBadRows: true, labels: '0=x' })).rejects.toThrow(
      /label\.tsv:2[^]*label\.tsv:4: there is no word for the label "no"[^]*\(4 of 4 shown\) all 4 rows are bad$/,
    )
    const inputs = await openInputs({ path: join(folder, 'bad.tsv'), skipBadRows: true })
    expect([inputs.length, inputs.get(3)]).toEqual([300, 'word 4'])
    expect(inputs.notes.at(-1)).toContain('100 of 400 rows are bad')
    inputs.close()
  })

  it.each<[string, string, Given]>([
    ['quote.csv', 'text,label\na,x\nb,"y\nc,z\n"d, e",x\n', {}],
    ['second.csv', 'text,label\nb,"y\na,x\nc,z\n"d, e",x\n', {}],
    ['quote.tsv', 'text\tlabel\na\tx\nb\t"y\nc\tz\n"d, e"\tx\n', { quotes: true }],
    [
      'long.jsonl',
      ['a', 'x'.repeat(2 ** 24), 'c', 'd, e'].map(text => `{"text": "${text}", "label": "x"}\n`).join(''),
      {},
    ],
  ])('are one row each where a record does not end: %s', async (name, content, given) => {
    const data = await read(name, content, { ...given, skipBadRows: true })
    expect(all(data).map(([input]) => input)).toEqual(['a', 'c', 'd, e'])
    expect(data.notes.join('\n')).toMatch(
      /warning: 1 of 4 rows are bad and skipped \(--skip-bad-rows\); the first: .*:[23]: /,
    )
    await expect(read(name, content, given)).rejects.toThrow(
      '(1 of 1 shown) 1 of 4 rows are bad. Correct them, or leave',
    )
  })

  it('may be the first of JSON Lines', async () => {
    const jsonl = '{"text": "a", "lab\n{"text": "b", "label": "x"}\n'
    expect(all(await read('cut.jsonl', jsonl, { skipBadRows: true }))).toEqual([['b', 'x']])
    await expect(read('cut.jsonl', jsonl)).rejects.toThrow(/cut\.jsonl:1: not JSON[^]*\(1 of 1 shown\) 1 of 2 rows/)
    const source = await jsonLinesSource(join(folder, 'cut.jsonl'), { skipBadRows: true }).open()
    expect([source.length, source.get(0)]).toEqual([1, { text: 'b', label: 'x' }])
    expect(source.notes).toEqual([expect.stringContaining('1 of 2 rows are bad and skipped')])
    source.close()
  })
})

describe('a file that cannot be read from its first record on', () => {
  it.each<[string, string | Uint8Array, RegExp]>([
    ['cut.jsonl', '{"text": "a", "lab\n{"text": "b", "label": "x"}\n', /cut\.jsonl:1: not JSON/],
    ['pretty.json', '{\n  "text": "a"\n}\n', /pretty\.json:1: not JSON/],
    ['latin1.csv', Buffer.from('caf\u00e9,x\nb,y\n', 'latin1'), /latin1\.csv:1: not valid UTF-8/],
    [
      'utf16.csv',
      Buffer.from('\ufefftext,label\na,b\n', 'utf16le'),
      /utf16\.csv: this file is text in UTF-16: save it/,
    ],
    ['long.tsv', `${'a'.repeat(300_000)}\tb\nc\td\n`, /long\.tsv:1: the first record is longer than 256\.00 KiB/],
  ])('is refused, alone and among others: %s', async (name, content, message) => {
    await expect(read(name, content)).rejects.toThrow(message)
    writeFileSync(join(folder, `0-${name}`), content)
    writeFileSync(join(folder, `1-${name}`), '{"text": "a", "label": "x"}\n')
    await expect(readPairs(pairsSettingsOf({ path: join(folder, `[01]-${name}`) }))).rejects.toThrow(message)
  })

  it.each<[string, string | Uint8Array]>([
    ['none.csv', ''],
    ['blank.tsv', '\n \n'],
    ['none.jsonl', '\n'],
  ])('has no rows: %s', async (name, content) => {
    const path = join(folder, name)
    writeFileSync(path, content)
    await expect(openInputs({ path })).rejects.toThrow(`${path}: this file has no rows, or only empty lines`)
    await expect(pairsTask(path)).rejects.toThrow(`${path}: this file has no rows, or only empty lines`)
  })

  it.each<[string, string | Uint8Array, string, Given?]>([
    ['header.csv', 'text,label\n', 'text, label'],
    ['unclear.csv', 'dog,dogs\n\n', 'dog, dogs'],
    ['three.csv', 'id,first,second', 'id, first, second'],
    ['given.tsv', 'a\tb\tc\n', 'a, b, c', { header: true }],
    [
      'rowless.parquet',
      new Uint8Array(
        parquetWriteBuffer({
          columnData: ['a', 'b', 'c'].map(name => ({ name, data: [], type: 'STRING' as const })),
        }),
      ),
      'a, b, c',
    ],
  ])('has a header and no rows: %s', async (name, content, columns, given = {}) => {
    const message = `${join(folder, name)}: this file has a header (${columns}) and no rows`
    await expect(read(name, content, given)).rejects.toThrow(message)
    await expect(pairsTask(pairsSettingsOf({ path: join(folder, name), ...given }))).rejects.toThrow(message)
    await expect(openInputs({ path: join(folder, name), header: given?.header ?? undefined })).rejects.toThrow(message)
    // Among others, such a file is noted.
    writeFileSync(join(folder, `x-${name}`), content)
    writeFileSync(join(folder, `x-${name}.tsv`), 'input\ttarget\na\tb\n')
    const several = await readPairs(pairsSettingsOf({ path: join(folder, `x-${name}*`), ...given }))
    expect(all(several)).toEqual([['a', 'b']])
    expect(several.notes.join()).toContain('and no rows')
  })

  it('may have a first record that is long, or lacks a column', async () => {
    const long = JSON.stringify({ text: 'a'.repeat(300_000), label: 'x' })
    expect(all(await read('long.jsonl', `${long}\n`)).length).toBe(1)
    const lines = '{"id": 1, "text": "a", "label": null}\n{"id": 2, "text": "b", "label": "x"}\n'
    await expect(read('lacks.jsonl', lines)).rejects.toThrow(/lacks\.jsonl:1: the target \("label"\) is missing/)
  })
})

describe('splits', () => {
  const lines = (from: number, to: number, split = ''): string =>
    Array.from({ length: to - from }, (_, i) => `word ${from + i}\tx${split && `\t${split}`}\n`).join('')
  const sizes = ({ examples }: PairsData): number[] => splitNames.map(name => examples[name].length)

  it('are taken by the hash of the input', async () => {
    const data = await read('hashed.tsv', lines(0, 1000))
    expect(sizes(data)).toEqual([937, 6, 57])
    expect(data.notes.at(-1)).toMatch(
      /hashed\.tsv: of 1,000 examples, 57 \(5.7%\) for the test and 6 \(0.6%\) for validation are kept, by a hash of the input \(--test, --validation and --split choose others\)$/,
    )
  })

  it('are files; the hash takes those that no file gives', async () => {
    const test = join(folder, 'test.tsv')
    writeFileSync(test, lines(2000, 2100))
    const withTest = await read('main.tsv', lines(0, 1000), { test })
    expect(sizes(withTest)).toEqual([994, 6, 100])
    expect(withTest.notes.at(-1)).toContain('of 1,000 examples, 6 (0.6%) for validation are kept')
    const withBoth = await read('main.tsv', lines(0, 1000), { test, validation: test })
    expect(sizes(withBoth)).toEqual([1000, 100, 100])
    expect(withBoth.notes.join()).not.toContain('are kept')
  })

  it('are in a column', async () => {
    const header = 'text\tlabel\tsplit\n'
    const content = header + lines(0, 100, 'train') + lines(100, 120, 'dev') + lines(120, 150, 'Test')
    expect(sizes(await read('column.tsv', content, { split: 'split' }))).toEqual([100, 20, 30])
    await expect(read('bad.tsv', header + lines(0, 1, 'holdout'), { split: 'split' })).rejects.toThrow(
      /bad\.tsv: the column "split" has values that name no split, "holdout" \(1 row: \S+bad\.tsv:2\): write train,/,
    )
  })
})

describe('chooseColumns', () => {
  const choose = async (
    columns: string[],
    input: string | null = null,
    target: string | null = null,
    rows: Fields[] = [],
  ): Promise<string[]> =>
    Object.values(await chooseColumns('f.csv', columns, { input, target }, () => Promise.resolve(rows)))

  it('takes what is given, by name or number', async () => {
    expect(await choose(['a', 'b', 'c'], 'c', '1')).toEqual(['c', 'a'])
    await expect(choose(['a', 'b'], 'd')).rejects.toThrow('f.csv: has no column "d"; it has a, b')
  })

  it('goes by usual names, then by order', async () => {
    expect(await choose(['a', 'b'])).toEqual(['a', 'b'])
    expect(await choose(['label', 'text'])).toEqual(['text', 'label'])
    expect(await choose(['label', 'mail'])).toEqual(['mail', 'label'])
    expect(await choose(['id', 'Text', 'Label'])).toEqual(['Text', 'Label'])
    expect(await choose(['a', 'b'], 'b')).toEqual(['b', 'a'])
  })

  it('knows a path by its last name', async () => {
    expect(await choose(['id', 'qa.question', 'qa.answer'])).toEqual(['qa.question', 'qa.answer'])
    expect(await choose(['qa.answer', 'qa.question'])).toEqual(['qa.question', 'qa.answer'])
    // A whole name comes first.
    expect(await choose(['text', 'meta.text', 'label'])).toEqual(['text', 'label'])
    await expect(choose(['a.text', 'b.text', 'c.label'])).rejects.toThrow(
      'as in --input a.text --target c.label (task.input, task.target). "a.text" ends in a usual name of inputs; "c.label" ends in a usual name of targets',
    )
    await expect(choose(['id', 'qa.question', 'qa.answer'], 'question')).rejects.toThrow(
      'f.csv: has no column "question"; did you mean qa.question?',
    )
    writeFileSync(join(folder, 'qa.jsonl'), '{"id":1,"qa":{"question":"who","answer":"me"},"more":2}\n')
    const inputs = await openInputs({ path: join(folder, 'qa.jsonl') })
    expect(inputs.get(0)).toBe('who')
    inputs.close()
  })

  it('asks where it is not clear', async () => {
    await expect(choose(['1', '2', '3'])).rejects.toThrow(
      'f.csv: has the columns 1, 2, 3: say which to answer and which to learn, as in --input 1 --target 2',
    )
    await expect(choose(['id', 'text', 'label', 'tag'], 'id')).rejects.toThrow(
      'f.csv: has the columns id, text, label, tag: say which to learn besides --input id, as in --target label (task.target). "label" is a usual name of targets',
    )
    await expect(choose(['id', 'text', 'sentence', 'x'], null, 'x')).rejects.toThrow(
      'say which to answer besides --target x, as in --input text (task.input). "text" is a usual name of inputs; not "id": its name is that of an id',
    )
    await expect(choose(['a', 'b'], 'a', 'a')).rejects.toThrow('"a" cannot be both the input and the target')
    await expect(choose(['1'])).rejects.toThrow(/f\.csv: has one column; expected lines of two, input TAB target/)
    await expect(choose(['text', 'a', 'b'])).rejects.toThrow(ConfigError)
    await expect(choose(['id', 'remark'])).rejects.toThrow('say which to answer and which to learn')
  })

  it('proposes no column that numbers the rows or has one value, and says why', async () => {
    const rows = Array.from({ length: 20 }, (_, i) => ({
      nr: `r-${100 + 7 * i}`,
      origin: 'web',
      stars: String(i % 3),
      remark: `remark ${i} about something`,
    }))
    await expect(choose(['nr', 'origin', 'stars', 'remark'], null, null, rows)).rejects.toThrow(
      'as in --input remark --target stars (task.input, task.target). "remark" has the longest texts; not "nr": its name is that of an id; not "origin": each row has "web"',
    )
    const other = rows.map(({ nr, ...row }) => ({ serial: nr, ...row }))
    await expect(choose(['serial', 'origin', 'stars', 'remark'], 'remark', null, other)).rejects.toThrow(
      'as in --target stars (task.target). not "serial": each row has another number or id',
    )
    // A file of each kind shows its rows.
    const csv = 'serial,origin,stars,remark\n' + other.map(row => Object.values(row).join(',')).join('\n')
    await expect(read('stars.csv', csv, { header: true })).rejects.toThrow('as in --input remark --target stars')
    const more = other.map((row, i) => ({ ...row, note: `note ${i}` }))
    await expect(choose(Object.keys(more[0]), 'remark', null, more)).rejects.toThrow(
      '"stars" has the fewest different values (3 in 20 rows); not "serial"',
    )
    const lines = other.map(row => JSON.stringify(row)).join('\n')
    await expect(read('stars.jsonl', lines)).rejects.toThrow('not "serial": each row has another number or id')
    const columnData = Object.keys(other[0]).map(name => ({
      name,
      data: other.map(row => row[name as keyof typeof row]),
      type: 'STRING' as const,
    }))
    const parquet = new Uint8Array(parquetWriteBuffer({ columnData }))
    await expect(read('stars.parquet', parquet)).rejects.toThrow('as in --input remark --target stars')
    writeFileSync(join(folder, 'inputs.jsonl'), lines)
    await expect(openInputs({ path: join(folder, 'inputs.jsonl') })).rejects.toThrow('as in --input remark. "remark"')
  })

  it('proposes no column where none looks like an answer, and says what to do', async () => {
    const years = Array.from({ length: 5 }, (_, i) => ({ year: 1990 + i, price: 7 * i + 1, about: `text ${i}` }))
    await expect(choose(['year', 'price', 'about'], null, null, years)).rejects.toThrow(
      /as in --input about --target COLUMN \(task\.input, task\.target\)\. not "year": each row has another number or id; not "price": each row has another number or id; no other column looks like an answer: name one nevertheless, or add one$/,
    )
    await expect(choose(['id', 'no', 'nr'])).rejects.toThrow(
      /as in --input COLUMN --target COLUMN .*; no column looks like an input or an answer: name one nevertheless, or add one$/,
    )
    const labels = years.map(row => ({ ...row, label: 'x' }))
    await expect(choose(['year', 'price', 'label'], null, null, labels)).rejects.toThrow(
      '"label" is a usual name of targets, but each row has "x"',
    )
    // Where all values differ, their number is no reason.
    const texts = years.map((_, i) => ({ a: `one ${i} and more`, b: `two ${i}`, c: `three ${i}` }))
    await expect(choose(['a', 'b', 'c'], null, null, texts)).rejects.toThrow(
      /as in --input a --target b \(task\.input, task\.target\)\. "a" has the longest texts$/,
    )
  })

  it('is an error of the file where a record has other columns', async () => {
    await expect(read('three.tsv', 'a\tb\nc\td\te\n')).rejects.toThrow(FileError)
  })
})
