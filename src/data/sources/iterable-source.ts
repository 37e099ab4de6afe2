import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Dataset } from '../dataset.js'
import type { Fields } from '../preprocessor.js'
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

async function datasetOf(name: string, examples: Examples): Promise<SourceDataset> {
  if (Array.isArray(examples)) return inMemory(examples as readonly Fields[])
  if ('get' in examples && 'length' in examples) {
    const { length } = examples
    return { length, get: i => examples.get(i), notes: [], close: () => undefined }
  }
  return spooled(name, examples as Iterable<Fields> | AsyncIterable<Fields>)
}

const inMemory = (examples: readonly Fields[]): SourceDataset => ({
  length: examples.length,
  notes: [],
  get(i) {
    const example = examples[i]
    if (example === undefined) throw new RangeError(`there is no example ${i}: the data has ${examples.length}`)
    return example
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
    await writeValues(path, asynchronous(examples))
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

async function* asynchronous<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T> {
  yield* items
}
