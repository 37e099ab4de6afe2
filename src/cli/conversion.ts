import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatBytes } from '../base/format.js'
import { sizeOf } from '../base/tensor.js'
import { dtypes } from '../base/dtypes.js'
import type { DType } from '../base/dtypes.js'
import { isFile } from '../checkpoint/files.js'
import { writeHfWeights } from '../checkpoint/names/hf-weights.js'
import { writeT5xWeights } from '../checkpoint/names/t5x-weights.js'
import type { Weights } from '../checkpoint/weights.js'
import { openWeights } from '../config/open-weights.js'
import { vocabularyFiles } from '../data/load-vocabulary.js'
import { hostView } from '../engine/api/array.js'
import * as random from '../engine/api/random.js'
import { initParameter } from '../model/init.js'
import { declareParameters } from '../model/parameters.js'
import { preset } from '../model/presets.js'

/** New weights of a preset, made and written one parameter at a time. */
export async function writeNewWeights(name: string, folder: string, { seed, dtype }: { seed: number; dtype: DType }): Promise<void> {
  const { model, router } = preset(name)
  const specs = declareParameters(model, router)
  const key = random.key(seed)
  const index = new Map(specs.map((spec, i) => [spec.path, i]))
  await write(folder, {
    path: name, container: 'new weights', model: { ...model, dtype: 'float32' }, router, specs,
    read: async path => {
      const i = index.get(path)!
      return hostView(initParameter(specs[i], i, key))
    },
    close: () => Promise.resolve(),
  }, 'safetensors', dtype)
}

const writers = { safetensors: writeHfWeights, t5x: writeT5xWeights }

/** Weights from wherever they are, parameter by parameter. */
export async function convertWeights(source: string, folder: string, { to, dtype }: { to: keyof typeof writers; dtype?: DType }): Promise<void> {
  const weights = await openWeights(source)
  try {
    await write(folder, weights, to, dtype, await vocabularyIn(source))
  } finally {
    await weights.close()
  }
}

async function write(folder: string, weights: Weights, to: keyof typeof writers, dtype: DType | undefined, files: Record<string, Uint8Array> = {}): Promise<void> {
  const bytes = weights.specs.reduce((sum, spec) => sum + sizeOf(spec.shape) * dtypes[dtype ?? spec.dtype].bytes, 0)
  console.error(`${weights.path} (${weights.container}): ${weights.specs.length} parameters, ${formatBytes(bytes)} to write`)
  await writers[to](folder, weights, { dtype, files })
}

/** The vocabulary beside the weights, which goes where they go. */
async function vocabularyIn(folder: string): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {}
  for (const name of vocabularyFiles) {
    const path = join(folder, name)
    if (await isFile(path)) files[name] = await readFile(path)
  }
  return files
}
