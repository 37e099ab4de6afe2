import { ConfigError } from '../base/errors.js'
import { treeFromPaths } from '../base/pytree.js'
import type { Tree } from '../base/pytree.js'
import { batchStream } from '../data/batches/prefetch.js'
import { seqioBatches } from '../data/batches/seqio-order.js'
import type { IteratorOptions } from '../data/iterator.js'
import type { BatchStream } from '../data/batches/stream.js'
import { taskStream } from '../data/streams/task-stream.js'
import type { Task, TaskCodec } from '../data/task.js'
import { loadTask } from '../data/tasks/registry.js'
import { evalShape, TensorType } from '../engine/api/eval-shape.js'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import * as random from '../engine/api/random.js'
import type { TensorTree } from '../engine/api/tracing.js'
import { productFlops } from '../engine/program/cost.js'
import type { Program } from '../engine/program/program.js'
import { initAligned } from '../model/aligned-init.js'
import { initParameter, initParameters } from '../model/init.js'
import { declareParameters } from '../model/parameters.js'
import type { ParameterSpec } from '../model/parameters.js'
import type { Batch, ModelParams } from '../model/types.js'
import type { RunConfig, TrainConfig } from './config.js'
import type { DebuggedStep } from './divergence.js'
import { distillConfigOf } from './distillation/teacher.js'
import { trainingLoss } from './loss.js'
import { requireMatch } from './patterns.js'
import { makeOptimizer } from './optimizers/optimizers.js'
import { makeSchedule } from './optimizers/schedules.js'
import type { Schedule } from './optimizers/schedules.js'
import { accumulatedTrainStep } from './accumulate.js'
import { averagedParameters, trainedParameters } from './averages.js'
import type { ParameterPlaces } from './averages.js'
import { averaging } from './optimizers/averaging.js'
import { makeTrainStep } from './step.js'
import type { Loss, StepInputs, StepMetrics, TrainArrays, TrainStep } from './step.js'
import { declareAdapters, mergedAdapters, scaledAdapters } from './trainable/adapters.js'
import { trainedPaths } from './trainable/freeze.js'
import { partition, partlyTrained, union } from './trainable/partition.js'
import { withRates } from './trainable/rates.js'
import { namedConfig, withMetrics } from './values.js'
import type { TrainerValues } from './values.js'

/** Everything a run needs besides its arrays. */
export interface TrainerParts {
  /** The configuration as checkpoints hold it: `{ kind: 'custom', name }` where a value was supplied. */
  readonly config: RunConfig
  readonly task: Task
  readonly batches: BatchStream
  readonly schedule: Schedule
  /** One step of the run. The frozen parameters are returned as they are. */
  trainStep(arrays: RunArrays, inputs: StepInputs<Batch>): { arrays: RunArrays; metrics: StepMetrics }
  /** The same step in the form in which the interpreter can run it. */
  debugged(frozen: TensorTree): DebuggedStep
  /** The multiplications and additions of one step's matrix products; 0 until the step is traced. */
  flopsPerStep(): number
  /** Where the parameters are that inference uses. */
  readonly places: ParameterPlaces
  /** The key of the run's dropout and router noise; each step folds its number in. */
  readonly stepKey: Tensor
  /** The updates that a restored optimizer's state holds; 0 if the state was fresh at the beginning of the run. */
  readonly firstUpdate: number
  /** Every parameter of the model, and the key of its first value. */
  readonly specs: readonly ParameterSpec[]
  readonly initKey: Tensor
  /** The arrays at step 0, from the model's parameters: by default, new random ones. */
  initialize(params?: ModelParams): RunArrays
  /** The parameters to evaluate and to infer with: all of them, with adapters merged into their kernels. */
  usedParameters(arrays: RunArrays): ModelParams
  /** The types of those arrays. Nothing is computed: they may be too large for this machine. */
  types(): TrainTypes
}

/** A run's arrays. */
export type RunArrays = TrainArrays & {
  /** The parameters that are not trained. */
  readonly frozen: TensorTree
}

/** The types of a run's arrays. */
export interface TrainTypes {
  readonly params: Tree<TensorType>
  readonly optimizer: Tree<TensorType>
  readonly frozen: Tree<TensorType>
}

/**
 * Makes the parts of a run from its configuration and the supplied values. `codec` is that of the checkpoint a run
 * resumes from. Throws a ConfigError if the parts do not fit each other, or if a custom value is named and not
 * supplied.
 */
export async function makeParts(config: RunConfig, values: TrainerValues, codec?: TaskCodec): Promise<TrainerParts> {
  const { model, router, train } = config
  const given = values.task ?? (await loadTask(config.task, codec))
  const task = values.metrics === undefined ? given : withMetrics(given, values.metrics)
  if (model.vocabSize < task.codec.vocabSize) {
    throw new ConfigError(
      `model.vocabSize is ${model.vocabSize}, and the task ${task.name} has ${task.codec.vocabSize} tokens: raise it to that or more`,
    )
  }
  const { rows, inputLength, targetLength, seed, clipNorm, accumulate, averageDecay } = train
  const size = { rows, inputLength, targetLength, seed }
  if (rows % accumulate !== 0)
    throw new ConfigError(`train.accumulate is ${accumulate}, which does not divide train.rows, ${rows}`)
  const specs = declareParameters(model, router)
  const { lora, freeze, rates } = train
  const adapters = lora.rank === 0 ? [] : declareAdapters(specs, lora)
  const trainable = adapters.length === 0 ? specs : adapters
  const trained = trainedPaths(
    freeze,
    trainable.map(spec => spec.path),
  )
  for (const rule of rates) requireMatch('train.rates', rule.path, [...trained])
  const updates = values.optimizer ?? makeOptimizer(train.optimizer, trainable)
  const rated = rates.length === 0 ? updates : withRates(updates, rates)
  const optimizer = averageDecay === null ? rated : averaging(rated, averageDecay)
  const places = partlyTrained(averageDecay === null ? trainedParameters : averagedParameters, trained)
  const firstUpdate = config.from?.optimizer === 'restored' ? config.from.step : 0
  // A step's number counts the updates of a restored optimizer's state too.
  const dropoutFrom = train.dropoutFrom === 0 ? 0 : train.dropoutFrom + firstUpdate
  const { teacher } = values
  const distill = distillConfigOf(config.distill, teacher)
  const distilled = teacher && distill ? { teacher, weights: distill } : undefined
  const loss = trainingLoss(model, router, { ...train, dropoutFrom }, values, distilled)
  let flops = 0
  const onTrace = (program: Program): void => {
    flops += productFlops(program)
  }
  const initOptimizer = jit((params: TensorTree) => optimizer.init(params))
  const rootKey = random.key(seed)
  const initKey = random.foldIn(rootKey, 0)
  /** The loss of the trained parameters. */
  const lossWith =
    (frozen: TensorTree): Loss<Batch> =>
    (params, ...rest) =>
      loss(scaledAdapters(union(params, frozen) as TensorTree, lora), ...rest)
  const stepWith = (frozen: TensorTree): TrainStep<Batch> =>
    accumulate === 1
      ? makeTrainStep(lossWith(frozen), optimizer, clipNorm, { onTrace })
      : accumulatedTrainStep(lossWith(frozen), optimizer, clipNorm, accumulate, { onTrace })
  /** Made when the frozen parameters are known: its loss closes over them. */
  let step: TrainStep<Batch> | undefined
  return {
    config: namedConfig(config, { ...values, task }),
    task,
    batches: values.makeBatches?.(size) ?? taskBatches(task, { ...size, packing: train.packing }, train),
    schedule: values.schedule ?? makeSchedule(train.schedule, train.steps),
    trainStep: ({ frozen, ...arrays }, inputs) => {
      step ??= stepWith(frozen)
      const result = step(arrays, inputs)
      return { ...result, arrays: { ...result.arrays, frozen } }
    },
    debugged: frozen => ({ loss: lossWith(frozen), optimizer, clipNorm, accumulate }),
    flopsPerStep: () => flops,
    places,
    usedParameters: arrays => mergedAdapters(places.used<Tensor>(arrays) as TensorTree, lora) as unknown as ModelParams,
    stepKey: random.foldIn(rootKey, 1),
    firstUpdate,
    specs,
    initKey,
    initialize: (base = (train.init === 'aligned' ? initAligned : initParameters)(specs, initKey)) => {
      const added = adapters.map((spec, i) => [spec.path, initParameter(spec, specs.length + i, initKey)] as const)
      const { params, frozen } = partition<Tensor>(union<Tensor>(base, treeFromPaths(added)), trained)
      return {
        params: params as TensorTree,
        optimizer: initOptimizer(params as TensorTree),
        frozen: frozen as TensorTree,
      }
    },
    types: () => {
      const all = [...specs, ...adapters].map(({ path, dtype, shape }) => [path, new TensorType(dtype, shape)] as const)
      const { params, frozen } = partition<TensorType>(treeFromPaths(all), trained)
      return { params, optimizer: typesOf(initOptimizer)(params), frozen }
    },
  }
}

/**
 * `evalShape` for trees whose structure TypeScript does not know; the types of `evalShape` itself would recurse
 * endlessly.
 */
const typesOf = evalShape as unknown as (
  f: (params: TensorTree) => TensorTree,
) => (params: Tree<TensorType>) => Tree<TensorType>

/** The training batches of a task, in the order that the configuration asks for. */
const taskBatches = (
  task: Task,
  size: IteratorOptions,
  { dataOrder, shuffleBuffer }: Pick<TrainConfig, 'dataOrder' | 'shuffleBuffer'>,
): BatchStream =>
  dataOrder === 'seqio' ? seqioBatches(task, { ...size, shuffleBuffer }) : batchStream(taskStream(task, size), size)
