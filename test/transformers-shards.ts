import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readTensors, sourceOf } from '../src/checkpoint/format.js'
import { safetensors } from '../src/checkpoint/safetensors.js'
import { huggingface } from '../src/checkpoint/sharded.js'
import { writeTorchFile } from './conformance/torch-file.js'

/**
 * Writes the weights of a Hugging Face folder as transformers does: by name, so that the kernels of an expert lie next
 * to each other. Each layer has a shard of its own.
 */
export async function toTransformersShards(folder: string, isTorch: boolean): Promise<void> {
  const reader = await huggingface.open(folder)
  const tensors = [...(await readTensors(reader))].sort(([a], [b]) => (a < b ? -1 : 1))
  await reader.close()
  for (const name of await readdir(folder)) if (name.startsWith('model')) await rm(join(folder, name))
  const [stem, ending] = isTorch ? ['pytorch_model', 'bin'] : ['model', 'safetensors']
  const layers = new Map<string | undefined, typeof tensors>()
  for (const tensor of tensors) {
    const layer = /^\w+\.block\.\d+/.exec(tensor[0])?.[0]
    layers.set(layer, [...(layers.get(layer) ?? []), tensor])
  }
  const weightMap: Record<string, string> = {}
  let count = 0
  for (const layer of layers.values()) {
    const shard = `${stem}-${String(++count).padStart(5, '0')}-of-${String(layers.size).padStart(5, '0')}.${ending}`
    for (const [name] of layer) weightMap[name] = shard
    if (isTorch) await writeTorchFile(join(folder, shard), layer)
    else await safetensors.write(join(folder, shard), sourceOf(layer))
  }
  await writeFile(
    join(folder, `${stem}.${ending}.index.json`),
    JSON.stringify({ metadata: { total_size: 0 }, weight_map: weightMap }),
  )
}
