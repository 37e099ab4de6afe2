import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FileError, SwitchyardError } from '../base/errors.js'
import { bytesOf, castHost, hostFrom, toNumbers } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { readCheckpoint, sourceOf } from './format.js'
import { detectFormat } from '../../test/conformance/formats.js'
import { safetensors } from './safetensors.js'
import { huggingface } from './sharded.js'

const fixture = (name: string): string => fileURLToPath(new URL(`../../test/fixtures/${name}`, import.meta.url))

let scratch: string
let count = 0
const fresh = (): string => join(scratch, String(count++))
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'switchyard-sharded-'))
})
afterAll(() => rm(scratch, { recursive: true, force: true }))

const readAll = async (path: string): Promise<Map<string, HostTensor>> => readCheckpoint(await detectFormat(path), path)

async function failure(path: string): Promise<string> {
  const error: unknown = await readAll(path).then(
    () => undefined,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(FileError)
  expect((error as FileError).message.startsWith(path)).toBe(true)
  return (error as FileError).message
}

/** HF ties these to the embedding: a .bin has them under their own names, safetensors once. */
const tied = ['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight', 'lm_head.weight']

describe('the containers of switch-tiny hold the same tensors', () => {
  let reference: Map<string, HostTensor>
  beforeAll(async () => {
    reference = await readAll(fixture('switch-tiny/model.safetensors'))
  })

  it.each(['switch-tiny', 'switch-tiny-bin', 'switch-tiny-bin-sharded', 'switch-tiny-sharded'])('%s', async name => {
    expect((await detectFormat(fixture(name))).name).toBe('huggingface')
    const tensors = await readAll(fixture(name))
    expect([...tensors.keys()].filter(n => !tied.includes(n)).sort()).toEqual([...reference.keys()].sort())
    let rounded = 0
    for (const [key, tensor] of tensors) {
      const wanted = reference.get(tied.includes(key) ? 'shared.weight' : key)!
      expect(tensor.shape).toEqual(wanted.shape)
      if (tensor.dtype === 'bfloat16') rounded++
      expect(Buffer.compare(bytesOf(tensor), bytesOf(castHost(wanted, tensor.dtype))), key).toBe(0)
    }
    expect(rounded).toBe(name === 'switch-tiny-bin-sharded' ? 60 : 0)
  })

  it('none, where the folder has weights of Flax alone', async () => {
    const folder = fresh()
    await mkdir(folder)
    await writeFile(join(folder, 'flax_model.msgpack'), '')
    await expect(huggingface.open(folder)).rejects.toThrow('the only weights here are in flax_model.msgpack')
  })

  it('an index by itself', async () => {
    const path = fixture('switch-tiny-sharded/model.safetensors.index.json')
    expect((await readAll(path)).size).toBe(reference.size)
  })
})

describe('an index that does not fit', () => {
  /** A copy of the sharded fixture with the index's text changed. */
  async function withIndex(change: (text: string) => string): Promise<string> {
    const path = fresh()
    await cp(fixture('switch-tiny-sharded'), path, { recursive: true })
    const index = join(path, 'model.safetensors.index.json')
    await writeFile(index, change(await readFile(index, 'utf8')))
    return path
  }
  const norm = '"decoder.final_layer_norm.weight"'
  const first = 'model-00001-of-00009.safetensors'

  it.each<[string, (text: string) => string, RegExp]>([
    [
      'a tensor that is nowhere',
      text => text.replace(norm, '"decoder.norm"'),
      /1 tensors are not in the shard that the index names \("decoder\.norm" in "model-0000\d-of-00009\.safetensors"/,
    ],
    [
      'a tensor that is elsewhere',
      text => text.replace(new RegExp(`${norm}: "[^"]*"`), `${norm}: "${first}"`),
      /1 tensors are not in the shard that the index names \("decoder\.final_layer_norm\.weight" in "model-00001/,
    ],
    [
      'a tensor too many in a shard',
      text => text.replace(new RegExp(`${norm}: "[^"]*",`), ''),
      /1 tensors are in a shard that the index does not name for them \("decoder\.final_layer_norm\.weight" in "model-0000\d/,
    ],
    [
      'shards that are missing',
      text => text.replaceAll(first, 'a.safetensors').replaceAll('00002-of', '00012-of'),
      /2 of 9 shards are missing \(.*"model-00012-of-00009.safetensors"/,
    ],
    [
      'a shard outside',
      text => text.replace(first, '../switch-tiny/model.safetensors'),
      /no name of a \.safetensors file in this folder/,
    ],
    [
      'a shard at an absolute path',
      text => text.replace(first, '/etc/passwd'),
      /no name of a \.safetensors file in this folder/,
    ],
    [
      'a shard at a Windows path',
      text => text.replace(first, 'C:\\\\model'),
      /no name of a \.safetensors file in this folder/,
    ],
    ['a shard that is the folder', text => text.replace(first, '.'), /no name of a \.safetensors file in this folder/],
    ['a tensor twice', text => text.replace(/("encoder[^\n]*\n)/, '$1$1'), /appears twice/],
    ['__proto__', text => text.replace(norm, '"a.__proto__.b"'), /"__proto__" is not allowed/],
    [
      'a shard of another format',
      text => text.replace(first, 'model.bin'),
      /no name of a \.safetensors file in this folder/,
    ],
    ['no shards', () => '{"weight_map": {}}', /names no shards/],
    ['no weight_map', text => text.replace('weight_map', 'weights'), /has no "weight_map"/],
    [
      'a shard that is a number',
      text => text.replace(new RegExp(`${norm}: "[^"]*"`), `${norm}: 1`),
      /expected a string/,
    ],
    ['no JSON', () => 'weights', /not the JSON of an index, character 1/],
  ])('%s', async (_, change, message) => {
    expect(await failure(await withIndex(change))).toMatch(message)
  })

  it('names a shard that is broken', async () => {
    const path = await withIndex(text => text)
    await writeFile(join(path, first), 'no')
    expect(await failure(path)).toContain(join(path, first))
  })

  it('a folder without weights', async () => {
    const path = fresh()
    await mkdir(path)
    await expect(huggingface.open(path)).rejects.toThrow(/no weights here: the folder has none of model\.safetensors/)
  })

  it('a shard that became another file', async () => {
    const path = fresh()
    const write = (n: number, values: number[]): Promise<void> =>
      safetensors.write(
        join(path, `${n}.safetensors`),
        sourceOf([[`t${n}`, hostFrom('float32', [values.length], values)]]),
        { replace: true },
      )
    const map: Record<string, string> = {}
    for (let n = 0; n < 40; n++) {
      await write(n, [n])
      map[`t${n}`] = `${n}.safetensors`
    }
    await writeFile(join(path, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }))
    const reader = await huggingface.open(path)
    await write(0, [1, 2])
    await expect(reader.read('t0')).rejects.toThrow(
      /"t0" was float32\[1\] when the checkpoint was opened and is float32\[2\] now/,
    )
    await reader.close()
  })
})

describe('shards, written', () => {
  const tensors = new Map(
    Array.from({ length: 100 }, (_, i) => [
      `t${i}`,
      hostFrom(
        'float32',
        [(i % 5) + 1],
        Array.from({ length: (i % 5) + 1 }, () => i),
      ),
    ]),
  )

  it('have the names, sizes and index of Hugging Face', async () => {
    const path = fresh()
    await huggingface.write(
      path,
      sourceOf([
        ['b', hostFrom('float32', [2], [1, 2])],
        ['a', hostFrom('float32', [3], [3, 4, 5])],
        ['9', hostFrom('int8', [2], [6, 7])],
      ]),
      {
        maxShardBytes: 10,
        files: { 'config.json': '{}' },
      },
    )
    expect((await readdir(path)).sort()).toEqual([
      'config.json',
      'model-00001-of-00003.safetensors',
      'model-00002-of-00003.safetensors',
      'model-00003-of-00003.safetensors',
      'model.safetensors.index.json',
    ])
    expect(await readFile(join(path, 'model.safetensors.index.json'), 'utf8')).toBe(`{
  "metadata": {
    "total_size": 22
  },
  "weight_map": {
    "b": "model-00001-of-00003.safetensors",
    "a": "model-00002-of-00003.safetensors",
    "9": "model-00003-of-00003.safetensors"
  }
}
`)
    expect(await readFile(join(path, 'config.json'), 'utf8')).toBe('{}')
    const shard = await safetensors.open(join(path, 'model-00002-of-00003.safetensors'))
    expect([...shard.metadata]).toEqual([['format', 'pt']])
    expect(toNumbers(await shard.read('a'))).toEqual([3, 4, 5])
    await shard.close()
  })

  it('are one file without an index where that holds all', async () => {
    const path = fresh()
    await huggingface.write(path, sourceOf(tensors))
    expect(await readdir(path)).toEqual(['model.safetensors'])
  })

  it.each([20, 21, 64, 400])('give everything back, many at once (%i bytes a shard)', async maxShardBytes => {
    const path = fresh()
    await huggingface.write(path, sourceOf(tensors), { maxShardBytes })
    const reader = await huggingface.open(path)
    const back = await Promise.all(
      [...tensors.keys()].reverse().map(async name => [name, await reader.read(name)] as const),
    )
    for (const [name, tensor] of back) expect(tensor).toEqual(tensors.get(name))
    await reader.close()
  })

  it('are filled in whatever order the tensors come', async () => {
    const path = fresh()
    const { infos, entries } = sourceOf(tensors)
    await huggingface.write(
      path,
      { infos, entries: [...(entries as [string, HostTensor][])].reverse() },
      { maxShardBytes: 40 },
    )
    expect(await readAll(path)).toEqual(tensors)
  })

  it('are not written where a tensor is announced twice or comes twice, in whatever shard', async () => {
    const { infos, entries } = sourceOf(tensors)
    const list = [...(entries as [string, HostTensor][])]
    const path = fresh()
    await expect(
      huggingface.write(path, { infos: [...infos, infos[0]], entries }, { maxShardBytes: 20 }),
    ).rejects.toThrow(/"t0".*two/)
    await expect(
      huggingface.write(path, { infos, entries: [...list, list[0]] }, { maxShardBytes: 20 }),
    ).rejects.toThrow(/"t0" was delivered twice/)
    await expect(huggingface.write(path, { infos, entries: list.slice(1) }, { maxShardBytes: 20 })).rejects.toThrow(
      /missing: "t0"/,
    )
    expect(await readdir(scratch)).not.toContain(path.split('/').at(-1))
  })

  it('replace an older model as a whole, and nothing that is not a model', async () => {
    const path = fresh()
    await huggingface.write(path, sourceOf(tensors), { maxShardBytes: 100, files: { 'config.json': '{}' } })
    await huggingface.write(path, sourceOf(tensors), { replace: true })
    expect(await readdir(path)).toEqual(['model.safetensors'])
    await mkdir(join(path, '.git'))
    await expect(huggingface.write(path, sourceOf(tensors), { replace: true })).rejects.toThrow(
      /more than a model \("\.git"\)/,
    )
  })

  it('refuses names that are no files beside the weights, and shards of no size', async () => {
    for (const name of ['../x.json', 'model.safetensors', 'model.safetensors.index.json', '.json', 'run.sh']) {
      await expect(huggingface.write(fresh(), sourceOf(tensors), { files: { [name]: '' } })).rejects.toThrow(
        SwitchyardError,
      )
    }
    await expect(huggingface.write(fresh(), sourceOf(tensors), { maxShardBytes: 0 })).rejects.toThrow(
      /maxShardBytes is 0/,
    )
  })
})
