import { join } from 'node:path'
import { isFile } from '../checkpoint/files.js'
import { openHfWeights } from '../checkpoint/names/hf-folder.js'
import { openT5xWeights } from '../checkpoint/names/t5x-weights.js'
import { nativeWeights } from '../checkpoint/native-weights.js'
import { t5x } from '../checkpoint/t5x/t5x.js'
import type { Weights } from '../checkpoint/weights.js'
import { isRun, openCheckpoint } from '../train/checkpointing.js'
import { answerOptions } from '../train/evaluate.js'
import { nativeSchema } from '../config/schema.js'
import { parseConfig, parseRunConfig } from '../config/validate.js'

/** The weights of a model, and if it is a run's, what its texts are made of and how many tokens an answer has at most. */
export interface OpenedWeights extends Weights {
  readonly texts?: { readonly task: unknown; readonly maxNewTokens: number }
}

/** The weights at a path, whatever they are stored in: a folder of Hugging Face, a checkpoint of T5X, a run of ours, or what `convert` wrote. */
export async function openWeights(path: string): Promise<OpenedWeights> {
  if (await isFile(join(path, 'config.json'))) return openHfWeights(path)
  return (await t5x.detect(path)) ? openT5xWeights(path) : openNativeWeights(path)
}

async function openNativeWeights(path: string): Promise<OpenedWeights> {
  const checkpoint = await openCheckpoint(path)
  try {
    const what = `the configuration in ${checkpoint.folder}`
    if (isRun(checkpoint)) {
      const config = parseRunConfig(checkpoint.config, what)
      return {
        ...nativeWeights(checkpoint, { ...config, bits: null }),
        texts: { task: checkpoint.task, maxNewTokens: answerOptions(config).maxNewTokens },
      }
    }
    const config = parseConfig(nativeSchema, checkpoint.config, what)
    const { maxNewTokens } = config
    return {
      ...nativeWeights(checkpoint, config),
      ...(maxNewTokens === null ? {} : { texts: { task: checkpoint.task, maxNewTokens } }),
    }
  } catch (error) {
    await checkpoint.close()
    throw error
  }
}
