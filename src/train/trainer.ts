import { ConfigError, FileError, SwitchyardError } from '../base/errors.js'
import type { Tree } from '../base/pytree.js'
import type { Checkpoint } from '../checkpoint/native.js'
import { tokenize } from '../data/features.js'
import { TrainIterator } from '../data/iterator.js'
import { taskSpec } from '../data/task.js'
import type { Task } from '../data/task.js'
import type { Tensor } from '../engine/api/tensor.js'
import { evalShape } from '../engine/api/eval-shape.js'
import type { TensorType } from '../engine/api/eval-shape.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import * as random from '../engine/api/random.js'
import type { TensorTree } from '../engine/api/tracing.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { initParameters } from '../model/init.js'
import { declareParameters } from '../model/parameters.js'
import type { Batch, ModelParams } from '../model/types.js'
import { batchOf } from './batch.js'
import { expectedOf, readTree, removeAbandoned, saveRun } from './checkpointing.js'
import type { TrainConfig } from './config.js'
import { MetricsLog } from './metrics-log.js'
import type { MetricsRecord } from './metrics-log.js'
import { trainingLoss } from './loss.js'
import { makeOptimizer } from './optimizers/optimizers.js'
import { makeSchedule } from './optimizers/schedules.js'
import type { Schedule } from './optimizers/schedules.js'
import { Pace } from './pace.js'
import { makeTrainStep } from './step.js'
import type { StepMetrics, TrainArrays, TrainStep } from './step.js'
import { libraryVersion } from '../base/version.js'

/** What a run is made of. It is saved as it is in every checkpoint, with whatever else the object holds. */
export interface TrainerConfig {
  readonly model: ModelConfig
  readonly router: RouterConfig
  readonly train: TrainConfig
}

export interface Progress {
  /** Steps that are done, of how many. */
  readonly step: number
  readonly steps: number
  readonly loss: number
  readonly examplesPerSecond: number
  readonly secondsLeft: number
  /** The latest record of all figures, if there is one yet. */
  readonly record: MetricsRecord | undefined
}

export interface RunOptions {
  onProgress?: (progress: Progress) => void
  /** When it is aborted, the step that is being made is finished and a checkpoint saved. */
  signal?: AbortSignal
}

interface Pending {
  readonly step: number
  readonly examples: number
  readonly learningRate: number
  readonly metrics: StepMetrics
}

interface Reporting {
  readonly folder: string
  readonly pace: Pace
  readonly log: MetricsLog
  readonly onProgress: RunOptions['onProgress']
}

/**
 * Trains a model, from the beginning or from a checkpoint. Going on from a checkpoint gives the same parameters, bit for
 * bit, as not having stopped.
 */
export class Trainer {
  private savedStep: number | undefined
  /** The step of the checkpoint that was gone on from, until there is a newer one. */
  private resumedStep: number | undefined
  private record: MetricsRecord | undefined

  private constructor(
    readonly config: TrainerConfig,
    readonly task: Task,
    private readonly parts: Parts,
    private arrays: TrainArrays,
    /** How many steps have been made. */
    public step: number,
  ) {}

  /** A run from the beginning. */
  static begin(config: TrainerConfig, task: Task): Trainer {
    const parts = prepare(config, task)
    return new Trainer(config, task, parts, parts.initialize(random.foldIn(parts.rootKey, 0)), 0)
  }

  /** Goes on from a checkpoint. The configuration may be another than the checkpoint's, as long as its arrays and data fit. */
  static async resume(config: TrainerConfig, task: Task, checkpoint: Checkpoint): Promise<Trainer> {
    if (checkpoint.optimizer === undefined)
      throw new SwitchyardError(
        `${checkpoint.folder}: this checkpoint holds parameters only, and cannot be gone on from`,
      )
    const parts = prepare(config, task)
    parts.iterator.restore(checkpoint.data)
    const types = typesOf(parts.initialize)(parts.rootKey)
    const arrays = {
      params: await readTree(checkpoint.params, expectedOf(types.params)),
      optimizer: await readTree(checkpoint.optimizer, expectedOf(types.optimizer)),
    }
    const trainer = new Trainer(config, task, parts, arrays, checkpoint.step)
    trainer.savedStep = checkpoint.step
    trainer.resumedStep = checkpoint.step
    return trainer
  }

  /** The parameters as they are now. They must not be used after another call of `run`. */
  get params(): ModelParams {
    return this.arrays.params as ModelParams
  }

  /** Examples that are too long for a row, and not trained on. */
  get skippedExamples(): number {
    return this.parts.iterator.skipped
  }

  /**
   * Makes the steps that are left, and saves checkpoints and records in the run's folder, which exists and to which
   * nobody else writes. Throws a SwitchyardError when the loss is no longer finite; checkpoints from before stay as they are. Those
   * after the one that was gone on from are deleted when a new one is saved.
   */
  async run(folder: string, { onProgress, signal }: RunOptions = {}): Promise<'finished' | 'interrupted'> {
    const { steps, checkpointEvery } = this.config.train
    const pace = new Pace()
    const log = new MetricsLog(folder)
    await log.rewind(this.step)
    // A step's loss is read when the next one is on its way, so that nothing waits for the host.
    let pending: Pending | undefined
    const report = async (): Promise<void> => {
      if (pending !== undefined) await this.report(pending, { folder, pace, log, onProgress })
      pending = undefined
    }
    while (this.step < steps && !signal?.aborted) {
      const next = this.advance()
      await report()
      pending = next
      if (this.step % checkpointEvery === 0) {
        await report()
        await this.save(folder)
      }
    }
    await report()
    await this.save(folder)
    return this.step < steps ? 'interrupted' : 'finished'
  }

  /** Sends a step on its way. */
  private advance(): Pending {
    const { iterator, schedule, stepKey, trainStep } = this.parts
    const { features, examples } = iterator.next()
    const learningRate = schedule(this.step)
    const { arrays, metrics } = trainStep(this.arrays, {
      batch: batchOf(features),
      key: stepKey,
      step: np.array(this.step, 'int32'),
      learningRate: np.array(learningRate),
    })
    this.arrays = arrays
    this.step++
    return { step: this.step, examples, learningRate, metrics }
  }

  private async report(
    { step, examples, learningRate, metrics }: Pending,
    { folder, pace, log, onProgress }: Reporting,
  ): Promise<void> {
    const loss = await metrics.loss.item()
    if (!Number.isFinite(loss)) throw this.diverged(folder, step, loss)
    pace.add(examples)
    const { steps, logEvery } = this.config.train
    if (step % logEvery === 0 || step === steps) {
      const figures = await Promise.all(
        Object.entries(metrics).map(
          async ([name, value]) => [name, value.size === 1 ? await value.item() : await value.numbers()] as const,
        ),
      )
      this.record = { step, learningRate, examplesPerSecond: pace.examplesPerSecond, ...Object.fromEntries(figures) }
      await log.append(this.record)
    }
    onProgress?.({
      step,
      steps,
      loss,
      examplesPerSecond: pace.examplesPerSecond,
      secondsLeft: pace.secondsFor(steps - step),
      record: this.record,
    })
  }

  private diverged(folder: string, step: number, loss: number): SwitchyardError {
    return new SwitchyardError(
      `the loss is ${loss} at step ${step}; ${this.saved(folder)}. A lower train.schedule.peak or train.clipNorm may help`,
    )
  }

  private saved(folder: string): string {
    return this.savedStep === undefined
      ? 'no checkpoint was saved'
      : `the last checkpoint, of step ${this.savedStep} in ${folder}, is from before`
  }

  private async save(folder: string): Promise<void> {
    if (this.savedStep === this.step) return
    const {
      config,
      task,
      parts: { iterator },
      step,
    } = this
    const { seed, keep } = config.train
    const facts = { step, config, task: taskSpec(task), data: iterator.state(), seed, libraryVersion: libraryVersion }
    try {
      await saveRun(folder, facts, this.arrays, keep)
    } catch (error) {
      if (error instanceof FileError) throw new FileError(`${error.message}; ${this.saved(folder)}`, { cause: error })
      throw error
    }
    this.savedStep = step
    if (this.resumedStep !== undefined) await removeAbandoned(folder, this.resumedStep, step)
    this.resumedStep = undefined
  }
}

/** `evalShape`, for trees whose structure TypeScript does not know: it would follow their types for ever. */
const typesOf = evalShape as unknown as (
  f: (key: Tensor) => TrainArrays,
) => (key: Tensor) => { params: Tree<TensorType>; optimizer: Tree<TensorType> }

/** What a run needs besides its arrays, and a function that makes those. */
interface Parts {
  readonly iterator: TrainIterator
  readonly schedule: Schedule
  readonly rootKey: Tensor
  readonly stepKey: Tensor
  readonly initialize: (key: Tensor) => TrainArrays
  readonly trainStep: TrainStep<Batch>
}

function prepare({ model, router, train }: TrainerConfig, task: Task): Parts {
  if (model.vocabSize < task.vocabSize) {
    throw new ConfigError(
      `model.vocabSize is ${model.vocabSize}, and the task ${task.name} has ${task.vocabSize} tokens: raise it`,
    )
  }
  const { rows, inputLength, targetLength, seed, clipNorm } = train
  const specs = declareParameters(model, router)
  const optimizer = makeOptimizer(train.optimizer, specs)
  const initOptimizer = jit(optimizer.init<TensorTree>)
  const rootKey = random.key(seed)
  return {
    iterator: new TrainIterator(tokenized(task), { rows, inputLength, targetLength, seed }),
    schedule: makeSchedule(train.schedule, train.steps),
    rootKey,
    stepKey: random.foldIn(rootKey, 1),
    initialize: key => {
      const params = initParameters(specs, key)
      return { params, optimizer: initOptimizer(params) }
    },
    trainStep: makeTrainStep(trainingLoss(model, router), optimizer, clipNorm),
  }
}

function* tokenized(task: Task) {
  for (const example of task.split('train')) yield tokenize(task, example)
}
