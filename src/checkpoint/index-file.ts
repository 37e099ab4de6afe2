import { FileError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import { isPlainName, readSmallText } from './files.js'
import { nameProblem, quote } from './format.js'
import { JsonReader } from './json.js'

// A Hugging Face folder holds its weights in one file, or in several shards with an index beside them:
// {"metadata": {"total_size"}, "weight_map": {tensor: shard file}}.

/** File names that may hold the weights or list their shards. The first that exists is used. */
export const weightFiles = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
] as const

export const maxIndexBytes = 100_000_000
const maxTensors = 500_000
const maxShards = 10_000

/** Whether a file is an index, by its name. */
export const isIndex = (path: string): boolean => /\.(safetensors|bin)\.index\.json$/.test(path)

/**
 * Reads which shard holds each tensor, in the index's order. Throws a FileError unless every shard is named like a
 * weights file in the same folder. Whether the shards exist is not checked.
 */
export async function readIndex(path: string): Promise<Map<string, string>> {
  const json = new JsonReader(
    await readSmallText(path, maxIndexBytes),
    message => new FileError(`${path}: this is not the JSON of an index, ${message}: copy or download it again`),
  )
  const ending = path.endsWith('.bin.index.json') ? '.bin' : '.safetensors'
  const weightMap = new Map<string, string>()
  const shards = new Set<string>()
  let found = false
  json.object(key => {
    if (key !== 'weight_map') return void json.value()
    found = true
    json.object(name => {
      const shard = json.string()
      const problem = nameProblem(name)
      if (problem !== undefined) throw new FileError(`${path}: tensor ${quote(name)}: ${problem}`)
      if (!isPlainName(shard) || !shard.endsWith(ending)) {
        throw new FileError(
          `${path}: tensor ${quote(name)} is said to be in ${quote(shard)}, which is no name of a ${ending} file in this folder: the index is broken or malicious, and that file was neither fetched nor opened`,
        )
      }
      if (weightMap.set(name, shard).size > maxTensors)
        throw new FileError(
          `${path}: the index has more than ${formatCount(maxTensors)} tensors: this is not an honest file`,
        )
      if (shards.add(shard).size > maxShards)
        throw new FileError(
          `${path}: the index names more than ${formatCount(maxShards)} shards: this is not an honest file`,
        )
    })
  })
  json.end()
  if (!found)
    throw new FileError(
      `${path}: the index has no "weight_map", which says what shard each tensor is in: copy or download it again`,
    )
  if (shards.size === 0) throw new FileError(`${path}: the index names no shards: copy or download it again`)
  return weightMap
}
