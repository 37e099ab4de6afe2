import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { formatBytes } from '../base/format.js'
import { sizeOf } from '../base/tensor.js'
import { dtypes } from '../base/dtypes.js'
import type { DType } from '../base/dtypes.js'
import { isFile } from '../checkpoint/files.js'
import { writeHfWeights } from '../checkpoint/names/hf-weights.js'
import { writeT5xWeights } from '../checkpoint/names/t5x-weights.js'
import { newWeights } from '../checkpoint/weights.js'
import type { Weights } from '../checkpoint/weights.js'
import { openWeights } from '../config/open-weights.js'
import { vocabularyFiles } from '../data/load-vocabulary.js'
import { preset } from '../model/presets.js'

/** New weights of a preset, made and written one parameter at a time. */
export async function writeNewWeights(name: string, folder: string, { seed, dtype }: { seed: number; dtype: DType }): Promise<void> {
  const { model, router } = preset(name)
  await write(folder, newWeights(name, { ...model, dtype: 'float32' }, router, seed), 'safetensors', dtype)
}

const writers = { safetensors: writeHfWeights, t5x: writeT5xWeights }

/** Weights from wherever they are, parameter by parameter. */
export async function convertWeights(source: string, folder: string, { to, dtype }: { to: keyof typeof writers; dtype?: DType }): Promise<void> {
  const weights = await openWeights(source)
  try {
    await write(folder, weights, to, dtype, to === 'safetensors' ? await vocabularyIn(source) : {})
  } finally {
    await weights.close()
  }
}

async function write(folder: string, weights: Weights, to: keyof typeof writers, dtype: DType | undefined, files: Record<string, Uint8Array> = {}): Promise<void> {
  const bytes = weights.specs.reduce((sum, spec) => sum + sizeOf(spec.shape) * dtypes[dtype ?? spec.dtype].bytes, 0)
  console.error(`${weights.path} (${weights.container}): ${weights.specs.length} parameters, ${formatBytes(bytes)} to write`)
  await writers[to](folder, weights, { dtype, files })
}

/** The vocabulary beside the weights, which a folder of Hugging Face has too. */
async function vocabularyIn(folder: string): Promise<Record<string, Uint8Array>> {
  const files: Record<string, Uint8Array> = {}
  for (const name of vocabularyFiles) {
    const path = join(folder, name)
    if (await isFile(path)) files[name] = await readFile(path)
  }
  return files
}
