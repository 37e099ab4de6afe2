import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { readCheckpoint } from '../../checkpoint/format.js'
import { safetensors } from '../../checkpoint/safetensors.js'
import { openEmbedder } from '../../open/embedding-model.js'
import { convertWeights } from '../convert/conversion.js'
import { describeModel, findModel } from '../inspect/inspection.js'
import { main } from '../main.js'
import { linesOf } from '../shared/texts.js'
import { shortLine } from './lines.js'
import { windowsOf } from './texts-to-embed.js'

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../../../test/fixtures/embed/${name}`, import.meta.url))
const model = fixture('sentence-t5')

describe('switchyard embed', () => {
  let folder: string
  let expected: number[][]
  let [printed, said]: string[][] = [[], []]
  const texts = ['a cat', 'the dog sat on the mat']

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'switchyard-embed-'))
    const vectors = await (await openEmbedder(model)).embed(texts)
    expected = vectors.map(vector => [...vector])
  })
  afterAll(() => rm(folder, { recursive: true }))
  beforeEach(() => {
    ;[printed, said] = [[], []]
    vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line))
    vi.spyOn(console, 'error').mockImplementation((line: string) => void said.push(line))
  })
  afterEach(() => vi.restoreAllMocks())

  const embed = (...args: string[]): Promise<number> => main(['embed', model, ...args])
  /** Rounds as the vectors' own type does: numbers are printed with the digits of a float32. */
  const numbers = (values: readonly number[]): number[] => [...Float32Array.from(values)]

  it('prints an array of numbers for each text, which have all digits', async () => {
    expect(await embed(...texts)).toBe(0)
    expect(printed.map(line => numbers(JSON.parse(line) as number[]))).toEqual(expected)
    expect(printed[0].length).toBeLessThan(12 * 14)
  })

  it('reads the column of a file, and writes lines of JSON or a safetensors file, but over none', async () => {
    const [data, lines, tensor] = ['texts.csv', 'v.jsonl', 'v.safetensors'].map(name => join(folder, name))
    await writeFile(data, `id,text\n${texts.map((text, i) => `${i},${text}\n`).join('')}`)
    for (const out of [lines, tensor]) {
      expect(await embed('--data', data, '--input', 'text', '--out', out)).toBe(0)
      expect(said.at(-1)).toBe(`2 vectors in ${out}`)
    }
    const written = (await readFile(lines, 'utf8')).trim().split('\n')
    const items = written.map(line => JSON.parse(line) as { text: string; vector: number[] })
    expect(items.map(item => item.text)).toEqual(texts)
    expect(items.map(item => numbers(item.vector))).toEqual(expected)
    const { vectors } = Object.fromEntries(await readCheckpoint(safetensors, tensor))
    expect(vectors.shape).toEqual([2, 12])
    expect([...(vectors.data as Float32Array)]).toEqual(expected.flat())
    expect(await embed('x', '--out', tensor)).toBe(2)
    expect(said.at(-1)).toContain('v.safetensors: this file exists: delete it, or give another name')
    expect(await embed('x', '--out', 'v.txt')).toBe(2)
    expect(said.at(-1)).toContain('vectors are written as .safetensors or .jsonl: --out v.safetensors')
  })

  it('prints how alike texts are', async () => {
    expect(await embed(...texts, 'a cat', '--similarity')).toBe(0)
    const rows = printed[0].split('\n').map(line => line.trim().split(/ {2,}/))
    expect(rows[0]).toEqual(['1', '2', '3'])
    const [cat, dog] = expected
    const length = (vector: readonly number[]): number => Math.hypot(...vector)
    const cosine = cat.reduce((sum, x, i) => sum + x * dog[i], 0) / (length(cat) * length(dog))
    expect(Math.abs(cosine)).toBeLessThan(0.999)
    const other = cosine.toFixed(4)
    expect(rows.slice(1).map(row => row.slice(1, 4))).toEqual([
      ['1.0000', other, '1.0000'],
      [other, '1.0000', other],
      ['1.0000', other, '1.0000'],
    ])
    expect(rows.map(row => row[4]).slice(1)).toEqual([...texts, 'a cat'])
  })

  it.each([
    [['x', '--prompt', 'query'], 'the model has no prompt "query": it has none'],
    [['x', '--similarity', '--out', 'v.jsonl'], '--similarity prints a table, and --out writes vectors'],
    [['x', '--input', 'text'], '--input is for a file of inputs: name it with --data'],
  ])('refuses %j', async (args, message) => {
    expect(await embed(...args)).toBe(2)
    expect(said.join()).toContain(message)
    expect(printed).toEqual([])
  })

  it('warns of a text that is the name of a file', async () => {
    const file = join(folder, 'a few.txt')
    await writeFile(file, 'a cat\n')
    expect(await embed('a cat', file)).toBe(0)
    expect(said[0]).toBe(
      `warning: ${file} is a file, and its name is taken as a text: to embed the texts in it, give --data "${file}"`,
    )
  })

  it('warns once of symbols that are not in the vocabulary, and of cut texts', async () => {
    expect(await embed('猫', '犬', '--max-length', '2', '--pooling', 'first', '--normalize')).toBe(0)
    expect(said).toEqual([
      'warning: 猫: the model has never seen "猫"; further such texts are not named',
      'a text has 3 tokens, and the model reads 2: it is cut, as all longer texts are',
    ])
  })
})

describe('a folder of sentence-transformers', () => {
  it('is inspected with its modules', async () => {
    const lines = describeModel(await findModel(fixture('all-poolings'))).split('\n')
    const fact = (name: string): string | undefined =>
      lines
        .find(line => line.trim().startsWith(name))
        ?.trim()
        .slice(name.length)
        .trim()
    expect(fact('vectors of texts')).toBe(
      'cls + max + mean + mean_sqrt_len_tokens + weightedmean + lasttoken of the tokens after the prompt; dense 96 to 10, Tanh; dense 10 to 8, Tanh, plus its input; the first 6 numbers; compared by dot',
    )
    expect(fact('prompts')).toBe('document "the document: ", query "query: " (default)')
    expect(describeModel(await findModel(model))).toContain('mean of the tokens; dense 16 to 12; length 1\n')
    expect(describeModel(await findModel(fixture('encoder-decoder')))).not.toContain('vectors of texts')
  })

  it('is converted without its modules, which is said', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'switchyard-embed-'))
    const said = vi.spyOn(console, 'error').mockReturnValue()
    await convertWeights(model, join(folder, 'new'), { to: 'safetensors' })
    expect(said.mock.calls.join()).toContain('the other modules of sentence-transformers were not converted')
    said.mockRestore()
    await rm(folder, { recursive: true })
  })
})

it('a line for a person shows the first numbers of a vector', () => {
  const vector = Float32Array.of(3, 4, 0, 0, 0)
  expect(shortLine({ text: 'a\tb', vector })).toBe(
    'a\\tb\t5 numbers of length 5.0000: 3.0000, 4.0000, 0.0000, 0.0000, ...',
  )
})

describe('lines in windows', () => {
  const collect = async (lines: AsyncIterable<string>, size: number): Promise<(readonly string[])[]> => {
    const windows = []
    for await (const window of windowsOf(lines, size)) windows.push(window)
    return windows
  }

  it('are those that have arrived, up to a number, empty ones included', async () => {
    expect(await collect(linesOf(Readable.from(['a\n\nb\nc\nd'])), 3)).toEqual([
      ['a', '', 'b'],
      ['c', 'd'],
    ])
    expect(await collect(linesOf(Readable.from([])), 3)).toEqual([])
  })

  it('do not wait for lines that have not arrived', async () => {
    async function* slow(): AsyncGenerator<string> {
      yield 'a\nb\n'
      await new Promise(resolve => setTimeout(resolve, 20))
      yield 'c\n'
    }
    expect(await collect(linesOf(slow()), 10)).toEqual([['a', 'b'], ['c']])
  })
})
