import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { FileError } from '../base/errors.js'
import { blobSource, memorySource, readExactly } from './byte-source.js'
import type { ByteSource } from './byte-source.js'
import { openFile } from './files.js'
import { readTensors } from './format.js'
import { openSafetensors } from './safetensors-read.js'
import { openTorch } from './torch/read.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../../test/fixtures/${name}`, import.meta.url))
const weights = fixture('switch-tiny/model.safetensors')
const pickled = fixture('switch-tiny-bin/pytorch_model.bin')

const sources: [name: string, open: (path: string) => Promise<ByteSource>][] = [
  ['a file', openFile],
  ['memory', async path => memorySource(await readFile(path))],
  ['a Blob', async path => blobSource(new Blob([await readFile(path)]))],
  ['a File', async path => blobSource(new File([await readFile(path)], 'chosen.safetensors'))],
]

describe.each(sources)('bytes in %s', (_, open) => {
  it('are read from any place, up to the end', async () => {
    const source = await open(weights)
    const all = new Uint8Array(await readFile(weights))
    expect(source.size).toBe(all.length)
    expect(await source.read(5, 1000)).toEqual(all.slice(5, 1005))
    expect(await source.read(all.length - 3, 10)).toEqual(all.slice(-3))
    expect(await source.read(0, 0)).toHaveLength(0)
    await source.close?.()
  })

  it('are refused by name where they end too early', async () => {
    const source = await open(weights)
    const error = await readExactly(source, source.size - 3, 4, 'tensor "w"').catch((e: unknown) => e)
    expect(error).toBeInstanceOf(FileError)
    expect((error as Error).message).toBe(
      `${source.path}: the file ends within tensor "w": it was cut off, copy or download it again`,
    )
    await source.close?.()
  })

  it('hold the same tensors, as safetensors and as a torch file', async () => {
    const readers = [await openSafetensors(await open(weights)), await openTorch(await open(pickled))]
    const [tensors, unpickled] = await Promise.all(readers.map(readTensors))
    expect(tensors.size).toBeGreaterThan(20)
    for (const [name, tensor] of tensors) expect(unpickled.get(name), name).toEqual(tensor)
    for (const reader of readers) await reader.close()
    await expect(readers[0].read('shared.weight')).rejects.toThrow('the file has been closed')
  })
})

it('a File is called by its name in messages', async () => {
  await expect(openSafetensors(blobSource(new File([], 'chosen.safetensors')))).rejects.toThrow(
    'chosen.safetensors: the file is empty',
  )
})

it('tensors read from memory do not change with it', async () => {
  const bytes = await readFile(weights)
  const tensor = await (await openSafetensors(memorySource(bytes))).read('shared.weight')
  const before = tensor.data.slice()
  bytes.fill(0)
  expect(tensor.data).toEqual(before)
})
