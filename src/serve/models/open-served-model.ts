import { checkNewTokens } from '../../infer/load.js'
import { withAnswersOf } from '../../model/generation-defaults.js'
import { openEmbedder } from '../../open/embedding-model.js'
import { remoteFor } from '../../open/left-weights.js'
import { openWeights } from '../../open/open-weights.js'
import { loadOpened, withTexts } from '../../open/text-model.js'
import type { OpenedTextModel, TextModelOptions } from '../../open/text-model.js'
import { AnsweringModel } from './answering-model.js'
import type { Opening } from './messages.js'
import type { ServedModel } from './served-model.js'
import { VectorModel } from './vector-model.js'

type FindValues = NonNullable<TextModelOptions['findValues']>

/**
 * Opens a model in this process: for answers, or for vectors of texts if it has no decoder or its head gives no text.
 * Throws a ConfigError, a FileError or a SwitchyardError if it cannot be opened, or does not fit into memory.
 */
export async function openServedModel(
  { name, path, bits, checkpoint, expertsMemory, pins, limits, copies, valuesModule }: Opening,
  onNotice: (message: string) => void = () => undefined,
): Promise<ServedModel> {
  checkNewTokens(limits.maxNewTokens)
  const findValues = valuesModule === undefined ? undefined : await importFindValues(valuesModule)
  const notices: string[] = []
  const weights = await openWeights(path, {
    choice: checkpoint,
    onNotice: message => notices.push(message),
    remote: remoteFor(expertsMemory, onNotice),
  })
  if (weights.model.numDecoderLayers === 0 || weights.otherHead !== undefined) {
    await weights.close()
    const embedder = await openEmbedder(path, { bits, copies, checkpoint, expertsMemory, pins, findValues, onNotice })
    await embedder.embed(['']) // compiles the model, for which the first vector would wait otherwise
    return new VectorModel(name, path, embedder, limits)
  }
  notices.forEach(onNotice)
  const model = await loadOpened(await withTexts(weights, { findValues, onNotice }), {
    bits,
    rowBytes: limits.maxMemoryBytes,
    copies,
    expertsMemory,
    pins,
    onNotice,
  })
  const answering = new AnsweringModel(name, withLimit(model, limits.maxNewTokens), limits)
  await answering.prepare(onNotice)
  return answering
}

const importFindValues = async (module: string): Promise<FindValues> =>
  ((await import(module)) as { findModelValues: FindValues }).findModelValues

/** A model with another limit of the tokens of an answer. Requests that ask for no number get as many as before. */
function withLimit(model: OpenedTextModel, limit: number | undefined): OpenedTextModel {
  if (limit === undefined) return model
  const { options } = model
  const { config } = options
  const usual = Math.min(config.generation?.maxNewTokens ?? options.maxNewTokens, limit)
  return {
    ...model,
    options: {
      ...options,
      maxNewTokens: limit,
      config: withAnswersOf({ ...config, generation: config.generation ?? {} }, usual),
    },
  }
}
