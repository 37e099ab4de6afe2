import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from '../base/errors.js'
import { formatCount } from '../base/format.js'
import { isFile } from '../checkpoint/files.js'
import { writeHfWeights } from '../checkpoint/names/hf-folder.js'
import { writeT5xWeights } from '../checkpoint/names/t5x-weights.js'
import { writeNativeWeights } from '../checkpoint/native-weights.js'
import { newWeights } from '../checkpoint/weights.js'
import { openWeights } from '../open/open-weights.js'
import type { OpenedWeights } from '../open/open-weights.js'
import { vocabularyFiles } from '../text/files.js'
import { countParameters } from '../model/parameters.js'
import { preset } from '../model/presets.js'
import { bitsOf } from './options.js'

/** New weights of a preset, made and written one parameter at a time. */
export async function writeNewWeights(
  name: string,
  folder: string,
  { seed, dtype }: { seed: number; dtype: 'float32' | 'bfloat16' },
): Promise<void> {
  const { model, router } = preset(name)
  await write(folder, newWeights(name, { ...model, dtype: 'float32' }, router, seed), { to: 'safetensors', dtype })
}

export interface ConvertOptions {
  to: 'safetensors' | 't5x' | 'native'
  dtype?: 'float32' | 'bfloat16' | keyof typeof bitsOf
}

/** Weights from wherever they are, parameter by parameter. */
export async function convertWeights(source: string, folder: string, options: ConvertOptions): Promise<void> {
  const weights = await openWeights(source)
  try {
    await write(folder, weights, options, options.to === 't5x' ? {} : await vocabularyIn(source))
  } finally {
    await weights.close()
  }
}

async function write(
  folder: string,
  weights: OpenedWeights,
  { to, dtype }: ConvertOptions,
  files: Record<string, Uint8Array> = {},
): Promise<void> {
  const bits = dtype === 'int8' || dtype === 'int4' ? bitsOf[dtype] : null
  if (bits && to !== 'native')
    throw new ConfigError(`${to} has no ${String(dtype)}: only our own format has, --to native`)
  if (weights.bits && (bits || (to === 'native' && dtype === undefined)))
    throw new ConfigError(
      `${weights.path}: its weights are in our own format and have ${weights.bits} bits already; --dtype float32 gives back what is left of them`,
    )
  console.error(
    `${weights.path} (${weights.container}): ${formatCount(countParameters(weights.specs))} parameters, ${weights.specs.length} tensors`,
  )
  const stored = dtype === 'float32' || dtype === 'bfloat16' ? dtype : undefined
  if (weights.texts && to !== 'native')
    console.error(
      `${to} has no place for a run's vocabulary: what is written can be inspected and converted, but infer needs --to native`,
    )
  if (to === 'safetensors') return writeHfWeights(folder, weights, { dtype: stored, files })
  if (to === 't5x') return writeT5xWeights(folder, weights, { dtype: stored })
  return writeNativeWeights(folder, weights, { dtype: stored, bits, files, texts: weights.texts })
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
