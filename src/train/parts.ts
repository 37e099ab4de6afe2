import { hostname } from 'node:os'
import { ConfigError } from '../base/errors.js'
import { batchStream } from '../data/batches/prefetch.js'
import { seqioBatches } from '../data/batches/seqio-order.js'
import type { IteratorOptions } from '../data/iterator.js'
import { targetEosOf } from '../data/packing/target-eos.js'
import type { BatchStream } from '../data/batches/stream.js'
import { taskStream } from '../data/streams/task-stream.js'
import type { Task, TaskCodec } from '../data/task.js'
import { loadTask } from '../data/tasks/registry.js'
import { defaultEngine } from '../engine/api/engine.js'
import type { Tensor } from '../engine/api/tensor.js'
import * as random from '../engine/api/random.js'
import type { TensorTree } from '../engine/api/tracing.js'
import { productFlops } from '../engine/program/cost.js'
import type { Program } from '../engine/program/program.js'
import { specialIdsOf } from '../model/config.js'
import type { Batch } from '../model/types.js'
import type { RunConfig, TrainConfig } from './config.js'
import type { DebuggedStep } from './divergence.js'
import { FlopsPerStep } from './flops-per-step.js'
import { evaluatorOnMesh } from './evaluate-on-mesh.js'
import { distillConfigOf } from './distillation/teacher.js'
import { trainingLoss } from './loss.js'
import { makeSchedule } from './optimizers/schedules.js'
import type { Schedule } from './optimizers/schedules.js'
import { accumulatedTrainStep } from './accumulate.js'
import { requireMemory } from './footprint.js'
import { currentJob } from './job/job.js'
import { normsOn } from './norms.js'
import type { Norms } from './norms.js'
import { modelParts } from './model-parts.js'
import type { ModelParts, RunArrays, TrainTypes } from './model-parts.js'
import { settledModel } from './settled-model.js'
import type { RunLayouts } from './parallel/layouts.js'
import { spreadOver } from './parallel/spread.js'
import type { SpreadOptions } from './parallel/spread.js'
import { shareOfRun, stateBytes } from './state-bytes.js'
import type { ShareOfRun } from './state-bytes.js'
import { trainStepWith } from './step.js'
import type { Loss, LossWith, StepInputs, StepMetrics } from './step.js'
import { scaledAdapters } from './trainable/adapters.js'
import { union } from './trainable/partition.js'
import { namedConfig, withMetrics } from './values.js'
import type { TrainerValues } from './values.js'

/** Everything a run needs besides its arrays. */
export interface TrainerParts extends Omit<ModelParts, 'optimizer'> {
  /** The configuration as checkpoints hold it: `{ kind: 'custom', name }` where a value was supplied. */
  readonly config: RunConfig
  readonly task: Task
  readonly batches: BatchStream
  readonly schedule: Schedule
  /** One step of the run. The frozen parameters are returned as they are. */
  trainStep(arrays: RunArrays, inputs: StepInputs<Batch>): { arrays: RunArrays; metrics: StepMetrics }
  /** The same step in the form in which the interpreter can run it. */
  debugged(frozen: TensorTree): DebuggedStep
  readonly norms: Norms
  /** Evaluates batches on the run's mesh: see `evaluatorOnMesh`. */
  readonly evaluate: ReturnType<typeof evaluatorOnMesh>
  /** The operations of a step's matrix products, as the mean of all steps so far; 0 before the first. */
  flopsPerStep(): number
  /** The key of the run's dropout and router noise; each step folds its number in. */
  readonly stepKey: Tensor
  /** The updates that a restored optimizer's state holds; 0 if the state was fresh at the beginning of the run. */
  readonly firstUpdate: number
}

/**
 * Makes the parts of a run from its configuration and the supplied values. `codec` is that of the checkpoint a run
 * resumes from. Throws a ConfigError if the parts do not fit each other, or if a custom value is named and not
 * supplied.
 */
export async function makeParts(config: RunConfig, values: TrainerValues, codec?: TaskCodec): Promise<TrainerParts> {
  const { router, train } = config
  const { rows, inputLength, targetLength, seed, clipNorm, accumulate } = train
  // Settings are checked before the data is loaded, which can take long.
  if (rows % accumulate !== 0)
    throw new ConfigError(`train.accumulate is ${accumulate}, which does not divide train.rows, ${rows}`)
  const own = modelParts(config, values)
  const { optimizer } = own
  const schedule = values.schedule ?? makeSchedule(train.schedule, train.steps)
  const types = own.types()
  const state = { ...stateBytes(types), teacher: values.teacher?.bytes }
  const shareHere = own.layouts ? shareOfProcess(types, own.layouts) : undefined
  // Machines differ: if a process has too little memory, all say which.
  await currentJob().share(async (rank, size) => {
    const where = size > 1 ? `process ${rank} of ${size} (on ${hostname()}): ` : ''
    requireMemory(config, state, undefined, { share: shareHere, where })
  })
  const given = values.task ?? (await loadTask(config.task, codec))
  const task = values.metrics === undefined ? given : withMetrics(given, values.metrics)
  const isNew = config.from === null && codec === undefined
  const model = isNew ? settledModel(config.model, task.codec) : config.model
  if (model.vocabSize < task.codec.vocabSize) {
    throw new ConfigError(
      `model.vocabSize is ${model.vocabSize}, and the task ${task.name} has ${task.codec.vocabSize} tokens: raise it to that or more`,
    )
  }
  const firstUpdate = config.from?.optimizer === 'restored' ? config.from.step : 0
  // A step's number counts the updates of a restored optimizer's state too.
  const dropoutFrom = train.dropoutFrom === 0 ? 0 : train.dropoutFrom + firstUpdate
  const { teacher } = values
  const distill = distillConfigOf(config.distill, teacher)
  const distilled = teacher && distill ? { teacher, weights: distill } : undefined
  const { layouts } = own
  const lossOn = (devices: SpreadOptions): Loss<Batch> =>
    trainingLoss(model, router, { ...train, dropoutFrom }, values, distilled, devices)
  // Batches of several sizes (`train.buckets`) have a program each.
  const flops = new FlopsPerStep()
  const onTrace = (program: Program): void => flops.trace(productFlops(program))
  const rootKey = random.key(seed)
  /** The loss of the trained parameters. */
  const ofTrained =
    (loss: Loss<Batch>): LossWith<Batch> =>
    frozen =>
    (params, ...rest) =>
      loss(scaledAdapters(union(params, frozen) as TensorTree, train.lora), ...rest)
  const stepLoss = ofTrained(lossOn(spreadOver(layouts)))
  const stepWith =
    accumulate === 1
      ? trainStepWith(stepLoss, optimizer, clipNorm, { onTrace, layouts })
      : accumulatedTrainStep(stepLoss, optimizer, clipNorm, accumulate, { onTrace, layouts })
  const specialIds = specialIdsOf(model)
  const targetEos = targetEosOf(task.codec, specialIds)
  const size = { rows, inputLength, targetLength, seed, specialIds, targetEos }
  return {
    ...own,
    config: namedConfig({ ...config, model }, { ...values, task }),
    task,
    batches:
      values.makeBatches?.(size) ??
      taskBatches(task, { ...size, packing: train.packing, buckets: train.buckets }, train),
    schedule,
    trainStep: ({ frozen, ...arrays }, inputs) => {
      flops.begin(JSON.stringify(Object.values(inputs.batch).map(tensor => tensor.shape)))
      const result = stepWith(frozen)(arrays, inputs)
      return { ...result, arrays: { ...result.arrays, frozen } }
    },
    debugged: frozen => ({ loss: ofTrained(lossOn({}))(frozen), optimizer, clipNorm, accumulate }),
    norms: normsOn(layouts),
    evaluate: evaluatorOnMesh(own, train.lora, {
      config: model,
      router,
      customRouter: values.router,
      meaning: values.meaning,
    }),
    flopsPerStep: () => flops.mean,
    stepKey: random.foldIn(rootKey, 1),
    firstUpdate,
  }
}

/** What the devices of a run's mesh that share the memory of this process, or of this machine, have of the run. */
function shareOfProcess(types: TrainTypes, layouts: RunLayouts): ShareOfRun {
  const { several, isFirst } = currentJob()
  if (several !== null) {
    const processes = several.localSize
    return { ...shareOfRun(types, layouts, processes), processes, answers: isFirst }
  }
  return shareOfRun(types, layouts, defaultEngine().backend.hasOwnMemory ? 1 : layouts.mesh.size)
}

/** The training batches of a task, in the order that the configuration asks for. */
const taskBatches = (
  task: Task,
  size: IteratorOptions,
  { dataOrder, shuffleBuffer }: Pick<TrainConfig, 'dataOrder' | 'shuffleBuffer'>,
): BatchStream =>
  dataOrder === 'seqio' ? seqioBatches(task, { ...size, shuffleBuffer }) : batchStream(taskStream(task, size), size)
