import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '../../base/errors.js'
import type { Dataset } from '../dataset.js'
import type { Fields } from '../preprocessor.js'
import { describeValue, isDataset, isFields } from '../returned.js'
import { openIndexedFiles } from './indexed-files.js'
import { checkSplit } from './source.js'
import type { Source, SourceDataset } from './source.js'
import { valueFormat, writeValues } from './values.js'

/** Examples in memory, with random access of their own, or one after the other. */
export type Examples = readonly Fields[] | Dataset<Fields> | Iterable<Fields> | AsyncIterable<Fields>

/**
 * A source from a function (SeqIO's `FunctionDataSource`), which gets the split's name; undefined without splits. A
 * list or Dataset that it returns is used as it is. An iterable, which may be asynchronous and larger than the memory,
 * is read once into a temporary file.
 */
export function functionSource(
  name: string,
  make: (split: string | undefined) => Examples | Promise<Examples>,
  { splits = null }: { splits?: readonly string[] | null } = {},
): Source {
  return {
    name,
    splits,
    async open(split) {
      checkSplit({ name, splits }, split)
      return datasetOf(name, await make(split))
    },
  }
}

async function datasetOf(name: string, examples: Examples | undefined): Promise<SourceDataset> {
  if (Array.isArray(examples)) {
    for (const [i, example] of examples.entries()) checkExample(name, example, i)
    return inMemory(examples as readonly Fields[])
  }
  if (isDataset(examples)) {
    const { length } = examples
    const get = (i: number): Fields => checkExample(name, examples.get(i), i)
    return { length, get, notes: [], close: () => undefined }
  }
  if (typeof examples !== 'object' || examples === null || !isIterable(examples))
    throw new ConfigError(
      `the source ${name}: its function returned ${describeValue(examples)}: expected a list of examples, something to iterate over, or { length, get(index) }`,
    )
  return spooled(name, examples)
}

const isIterable = (value: object): value is Iterable<Fields> | AsyncIterable<Fields> =>
  Symbol.iterator in value || Symbol.asyncIterator in value

/** Throws a ConfigError for an example that is no record of fields. */
function checkExample(source: string, example: unknown, index: number): Fields {
  if (isFields(example)) return example
  throw new ConfigError(
    `the source ${source}: example ${index} is ${describeValue(example)}: expected fields by name, such as { text: '...', label: '...' }`,
  )
}

const inMemory = (examples: readonly Fields[]): SourceDataset => ({
  length: examples.length,
  notes: [],
  get(i) {
    if (i in examples) return examples[i]
    throw new RangeError(`there is no example ${i}: the data has ${examples.length}`)
  },
  close: () => undefined,
})

/** Writes the examples to a temporary file, which `close` or the end of the process removes. */
async function spooled(name: string, examples: Iterable<Fields> | AsyncIterable<Fields>): Promise<SourceDataset> {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-source-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  process.once('exit', remove)
  const path = join(folder, 'examples')
  try {
    await writeValues(path, checked(name, examples))
    const dataset = await openIndexedFiles([path], () => valueFormat(number => `${name}: example ${number}`), {
      names: [name],
      notes: [`the examples of ${name} come one after the other: they were copied to ${path}, for random access`],
    })
    return {
      ...dataset,
      close() {
        dataset.close()
        remove()
        process.off('exit', remove)
      },
    }
  } catch (error) {
    remove()
    process.off('exit', remove)
    throw error
  }
}

async function* checked(name: string, examples: Iterable<Fields> | AsyncIterable<Fields>): AsyncGenerator<Fields> {
  let index = 0
  for await (const example of examples) yield checkExample(name, example, index++)
}
