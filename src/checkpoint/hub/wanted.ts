import { vocabularyFiles } from '../../data/load-vocabulary.js'
import { FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { isPlainName, readSmallText } from '../files.js'
import { quote } from '../format.js'
import { JsonReader } from '../json.js'

// What our readers use of a model's folder (see ../sharded.ts for the weights). Nothing else is ever fetched.

/** What a model cannot be opened without, apart from its weights. */
export const configFile = 'config.json'

/** What is used if the model has it. */
export const optionalFiles: readonly string[] = ['generation_config.json', ...vocabularyFiles]

/** What may hold the weights or list their shards, the best first. */
export const weightFiles = ['model.safetensors', 'model.safetensors.index.json', 'pytorch_model.bin', 'pytorch_model.bin.index.json'] as const

export const maxIndexBytes = 100_000_000
const maxShards = 10_000

export const isIndex = (name: string): boolean => name.endsWith('.index.json')

/** The names of the shards that an index lists, each once. They are checked to be names of weights' files in the same folder. */
export async function shardsOf(index: string): Promise<string[]> {
  const ending = index.endsWith('.bin.index.json') ? '.bin' : '.safetensors'
  const json = new JsonReader(await readSmallText(index, maxIndexBytes), message => new FileError(`${index}: this is not the JSON of an index, ${message}`))
  const shards = new Set<string>()
  json.object(key => {
    if (key !== 'weight_map') return void json.value()
    json.object(() => {
      const shard = json.string()
      if (!isPlainName(shard) || !shard.endsWith(ending)) {
        throw new FileError(`${index}: ${quote(shard)} is no name of a shard in this folder: the index is broken or malicious, and that file was neither fetched nor opened`)
      }
      if (shards.add(shard).size > maxShards) throw new FileError(`${index}: the index names more than ${formatCount(maxShards)} shards: this is not an honest file`)
    })
  })
  json.end()
  if (shards.size === 0) throw new FileError(`${index}: the index names no shards`)
  return [...shards]
}
