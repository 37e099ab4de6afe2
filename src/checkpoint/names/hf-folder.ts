import { join } from 'node:path'
import { FileError } from '../../base/errors.js'
import { castHost } from '../../base/host-tensor.js'
import type { HostTensor } from '../../base/host-tensor.js'
import type { ParameterSpec } from '../../model/parameters.js'
import { readSmallText } from '../files.js'
import type { TensorInfo, TensorSource } from '../format.js'
import { parseJson } from '../json.js'
import { huggingface } from '../sharded.js'
import { refuseCustomRouter } from '../weights.js'
import type { Weights } from '../weights.js'
import { configToHf, hfConfigText } from './hf-config.js'
import { hfEntry, hfShape, toHf } from './hf.js'
import type { HfFamily } from './hf.js'
import { hfWeights } from './hf-weights.js'

/** The weights of a Hugging Face folder: config.json, and safetensors or torch files, whole or in shards. */
export async function openHfWeights(folder: string): Promise<Weights> {
  const configPath = join(folder, 'config.json')
  const json = parseJson(
    await readSmallText(configPath, 2 ** 20),
    message => new FileError(`${configPath}: this is not JSON, ${message}`),
  )
  const reader = await huggingface.open(folder)
  try {
    return hfWeights(json, reader, folder)
  } catch (error) {
    await reader.close()
    throw error
  }
}

/**
 * Writes weights as a Hugging Face folder that `from_pretrained` reads: config.json, safetensors, in shards past a
 * size, and `files` (a vocabulary).
 */
export async function writeHfWeights(
  folder: string,
  weights: Weights,
  options: {
    dtype?: ParameterSpec['dtype']
    maxShardBytes?: number
    files?: Readonly<Record<string, Uint8Array>>
  } = {},
): Promise<void> {
  refuseCustomRouter(weights, "Hugging Face's format")
  const family: HfFamily = weights.model.numExperts > 0 ? 'switch' : 't5'
  const config = { ...configToHf(weights.model, weights.router), ...(options.dtype ? { dtype: options.dtype } : {}) }
  await huggingface.write(folder, hfSource(weights, family, options.dtype), {
    maxShardBytes: options.maxShardBytes,
    files: { ...options.files, 'config.json': hfConfigText(config) },
  })
}

function hfSource(weights: Weights, family: HfFamily, dtype: ParameterSpec['dtype'] | undefined): TensorSource {
  const infos = weights.specs.flatMap((spec): TensorInfo[] => {
    const entry = hfEntry(spec, family)
    return entry.names.map(name => ({ name, dtype: dtype ?? spec.dtype, shape: hfShape(spec.shape, entry) }))
  })
  async function* entries(): AsyncGenerator<[string, HostTensor]> {
    for (const spec of weights.specs)
      yield* toHf(spec, castHost(await weights.read(spec.path), dtype ?? spec.dtype), family)
  }
  return { infos, entries: entries() }
}
