import { ConfigError, FileError } from '../../base/errors.js'
import { formatCount, formatTable } from '../../base/format.js'
import type { HostTensor } from '../../base/host-tensor.js'
import { refuseExisting } from '../../checkpoint/atomic.js'
import { readStack } from '../../checkpoint/layout.js'
import { readParameters, storedSpecs } from '../../checkpoint/weights.js'
import { targetEosOf } from '../../data/packing/target-eos.js'
import { pairsTask } from '../../data/tasks/pairs.js'
import { specialIdsOf } from '../../model/config.js'
import { countActiveParameters, countParameters } from '../../model/parameters.js'
import { keptOf, mostUsed, prunedModel, prunedParameter } from '../../model/surgery/prune.js'
import type { KeptExperts } from '../../model/surgery/prune.js'
import { trainingCodec } from '../../open/model-codec.js'
import { openWeights } from '../../open/open-weights.js'
import type { OpenedWeights } from '../../open/open-weights.js'
import { measuredRows, measureUse } from '../../train/expert-use.js'
import type { ModelUse } from '../../train/expert-use.js'
import { packedSplit } from '../../train/packed-split.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import { formatOf, vocabularyIn, writeWeights } from './conversion.js'
import { checkWritten } from './written.js'
import { pairsFromOptions } from '../shared/pairs-from-options.js'
import type { DataOptions } from '../shared/data-options.js'
import { readAsOf, readAsTrained } from '../shared/model-training.js'
import { countExamples } from '../shared/report.js'
import { findModelValues } from '../shared/model-values.js'

export interface PruningOptions extends DataOptions {
  experts: number
  set: string[]
  checkpoint?: CheckpointChoice
}

/**
 * Measures the use of a model's experts on the training split of the data, writes the model with the most used ones, in
 * its own format, and prints the use and the quality on held-out examples before and after.
 */
export async function prune(source: string, folder: string, options: PruningOptions): Promise<void> {
  const { data, experts, set, checkpoint } = options
  if (data === undefined) throw new ConfigError('give --data with examples on which the use of the experts is measured')
  // Measuring takes long, and the folder is written after it.
  await refuseExisting(folder)
  const onNotice = (message: string): void => console.error(message)
  const weights = await openWeights(source, { choice: checkpoint, onNotice })
  try {
    const model = prunedModel(weights.model, experts)
    const { settings: given, others } = pairsFromOptions(data, options, set)
    if (others.length > 0) throw new ConfigError(`--set ${others[0]}: only settings of the data (task.) can be changed`)
    const settings = await readAsTrained(given, readAsOf(weights.run?.config.task ?? weights.texts?.trainedOn, source))
    const task = await pairsTask(settings, await trainingCodec(weights, onNotice))
    const specialIds = specialIdsOf(model)
    const size = { ...measuredRows, specialIds, targetEos: targetEosOf(task.codec, specialIds) }
    const [seen, heldOut] = [packedSplit(task, 'train', size), packedSplit(task, 'test', size)]
    if (seen.length === 0)
      throw new FileError(
        `${data}: no example of the training split has at most 128 tokens, so nothing can be measured`,
      )
    const tested = heldOut.length > 0 ? heldOut : seen
    const params = await readParameters(weights, 'float32')
    const { router: customRouter, meaning } = await findModelValues(weights)
    const use = await measureUse(params, { ...weights, customRouter, meaning }, seen)
    const before = await measureUse(params, { ...weights, customRouter, meaning }, tested)
    const kept = mostUsed(use.loads, experts)
    const pruned = prunedWeights(weights, model, kept)
    const after = await measureUse(
      await readParameters(pruned, 'float32'),
      { ...pruned, customRouter, meaning },
      tested,
    )
    await writeWeights(folder, pruned, { to: formatOf(weights) }, await vocabularyIn(weights))
    console.log(`${useTable(use, kept)}\n`)
    console.log(qualityTable([weights, before], [pruned, after]))
    const count = (n: number, kind: string): string =>
      countExamples(n, { units: { one: 'example', many: 'examples' } }, kind)
    console.log(
      `\nthe use was measured on ${count(use.examples, 'training ')}, loss and tokens right on ${count(before.examples, heldOut.length > 0 ? 'held-out ' : 'training ')}`,
    )
    console.log(await checkWritten(folder))
  } finally {
    await weights.close()
  }
}

/** The weights of a model with fewer experts. Those that go are never read. */
export function prunedWeights(weights: OpenedWeights, model: OpenedWeights['model'], kept: KeptExperts): OpenedWeights {
  const { path, container, router, texts } = weights
  const dtypes = new Map(weights.specs.map(spec => [spec.path, spec.dtype]))
  const specs = storedSpecs(model, router, spec => dtypes.get(spec.path) ?? 'float32')
  const byPath = new Map(specs.map(spec => [spec.path, spec]))
  const readExpert = (name: string, expert: number): Promise<HostTensor> =>
    weights.readExpert(name, keptOf(byPath.get(name)!, kept)![expert])
  return {
    path,
    container,
    model,
    router,
    texts,
    specs,
    read: name => {
      const spec = byPath.get(name)!
      if (spec.role === 'expertKernel') return readStack(spec.shape[0], expert => readExpert(name, expert), false)
      return prunedParameter(spec, kept, stored => weights.read(stored))
    },
    readExpert,
    close: () => weights.close(),
  }
}

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`

/** A row for each layer: which experts stay, and the share of tokens that they took. */
function useTable({ loads }: ModelUse, kept: KeptExperts): string {
  const rows = Array.from(loads, ([layer, shares]) => {
    const stay = kept.get(layer)!
    return [
      layer,
      stay.join(', '),
      percent(stay.reduce((sum, expert) => sum + shares[expert], 0)),
      shares.map(percent).join(' '),
    ]
  })
  return formatTable([['layer', 'kept experts', 'their share of tokens', 'share of each expert'], ...rows])
}

function qualityTable(...models: readonly (readonly [OpenedWeights, ModelUse])[]): string {
  const rows = models.map(([{ specs, model }, { crossEntropy, accuracy }], i) => [
    ['before', 'after'][i],
    String(model.numExperts),
    formatCount(countParameters(specs)),
    formatCount(countActiveParameters(specs)),
    crossEntropy.toFixed(4),
    percent(accuracy),
  ])
  return formatTable([['', 'experts', 'parameters', 'used per token', 'loss', 'tokens right'], ...rows])
}
