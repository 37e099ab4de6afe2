import { formatCount } from '../../base/format.js'
import { storedSpecs } from '../../checkpoint/weights.js'
import { stackLayers } from '../../model/config.js'
import type { ModelConfig, StackName } from '../../model/config.js'
import { countActiveParameters, countParameters } from '../../model/parameters.js'
import { densePath, upcycledModel, upcycledExpert, upcycledParameter } from '../../model/surgery/upcycle.js'
import { everyNthLayer } from '../../model/sparse-layers.js'
import { openWeights } from '../../open/open-weights.js'
import type { OpenedWeights } from '../../open/open-weights.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import { formatOf, vocabularyIn, writeWeights } from './conversion.js'
import { checkWritten } from './written.js'
import { invocation } from '../shared/invocation.js'
import { shellWord } from '../shared/shell-word.js'

export interface UpcyclingOptions {
  experts: number
  encoderEvery: number
  decoderEvery: number
  seed: number
  checkpoint?: CheckpointChoice
}

/**
 * Writes an upcycled model, one parameter at a time, and reports what was made. Its format is that of the dense one, or
 * native for gated experts (T5 1.1, Flan-T5), which transformers does not have.
 */
export async function upcycle(source: string, folder: string, options: UpcyclingOptions): Promise<void> {
  const dense = await openWeights(source, {
    choice: options.checkpoint,
    onNotice: message => console.error(message),
  })
  try {
    const sparse = upcycledWeights(dense, options)
    const format = formatOf(dense)
    const to = format === 'safetensors' && sparse.model.gatedActivation ? 'native' : format
    await writeWeights(folder, sparse, { to }, await vocabularyIn(dense))
    report(dense, sparse)
    console.log(
      `${await checkWritten(folder)}\nto train it: ${invocation()} finetune ${shellWord(folder)} --data pairs.tsv`,
    )
  } finally {
    await dense.close()
  }
}

function upcycledWeights(
  dense: OpenedWeights,
  { experts, encoderEvery, decoderEvery, seed }: UpcyclingOptions,
): OpenedWeights {
  const { router } = dense
  const model = upcycledModel(dense.model, {
    numExperts: experts,
    encoderSparseLayers: everyNthLayer(dense.model.numEncoderLayers, encoderEvery),
    decoderSparseLayers: everyNthLayer(dense.model.numDecoderLayers, decoderEvery),
  })
  const dtypes = new Map(dense.specs.map(({ path, dtype }) => [path, dtype]))
  const specs = storedSpecs(model, router, spec => dtypes.get(densePath(spec)) ?? 'float32')
  const indices = new Map(specs.map(({ path }, i) => [path, i]))
  return {
    path: dense.path,
    container: dense.container,
    texts: dense.texts,
    model,
    router,
    specs,
    read: path => {
      const index = indices.get(path)!
      return upcycledParameter(specs[index], index, name => dense.read(name), seed)
    },
    readExpert: path => upcycledExpert(specs[indices.get(path)!], name => dense.read(name)),
    close: () => dense.close(),
  }
}

function report(dense: OpenedWeights, { specs, model }: OpenedWeights): void {
  const count = (n: number): string => `${formatCount(n)} parameters`
  const stacks = (['encoder', 'decoder'] as const).flatMap(stack => sparseLayers(model, stack))
  console.log(
    [
      `${count(countParameters(dense.specs))} became ${count(countParameters(specs))}, of which ${formatCount(countActiveParameters(specs))} are used per token`,
      `sparse layers: ${stacks.join('; ')}; each has ${model.numExperts} copies of its feed-forward network, and a new router`,
      `a new router's gates are 1/${model.numExperts}, and the experts' output kernels (wo) are ${model.numExperts} times as large in exchange: where no token is dropped, the model computes what the dense one did`,
    ].join('\n'),
  )
}

function sparseLayers(model: ModelConfig, stack: StackName): string[] {
  const layers = stackLayers(model, stack).flatMap(({ sparse }, i) => (sparse ? [i] : []))
  return layers.length > 0 ? [`${stack} ${layers.join(', ')}`] : []
}
