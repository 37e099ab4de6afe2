import { join } from 'node:path'
import { SwitchyardError } from '../base/errors.js'
import { isFile } from '../checkpoint/files.js'
import { openHfWeights } from '../checkpoint/names/hf-weights.js'
import { openT5xWeights } from '../checkpoint/names/t5x-weights.js'
import { t5x } from '../checkpoint/t5x/t5x.js'
import { storedSpecs } from '../checkpoint/weights.js'
import type { Weights } from '../checkpoint/weights.js'
import { openCheckpoint } from '../train/checkpointing.js'
import { parseRunConfig } from './validate.js'

/** The weights at a path, whatever they are stored in: a folder of Hugging Face, a checkpoint of T5X, or a run of ours. */
export async function openWeights(path: string): Promise<Weights> {
  if (await isFile(join(path, 'config.json'))) return openHfWeights(path)
  return await t5x.detect(path) ? openT5xWeights(path) : openRunWeights(path)
}

async function openRunWeights(path: string): Promise<Weights> {
  const checkpoint = await openCheckpoint(path)
  try {
    const { model, router } = parseRunConfig(checkpoint.config, `the configuration in ${checkpoint.folder}`)
    const infos = new Map(checkpoint.params.list().map(info => [info.name, info]))
    return {
      path: checkpoint.folder,
      container: 'native',
      model,
      router,
      specs: storedSpecs(model, router, spec => {
        const info = infos.get(spec.path)
        if (!info) throw new SwitchyardError(`${checkpoint.folder}: there is no parameter ${spec.path}, which its configuration asks for`)
        return info.dtype
      }),
      read: name => checkpoint.params.read(name),
      close: () => checkpoint.close(),
    }
  } catch (error) {
    await checkpoint.close()
    throw error
  }
}
