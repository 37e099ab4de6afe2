import { FileError, SwitchyardError } from '../base/errors.js'
import { libraryVersion } from '../base/version.js'
import type { Checkpoint } from '../checkpoint/native.js'
import { latestCheckpoint } from '../checkpoint/run-folder.js'
import { RunLock } from '../checkpoint/run-lock.js'
import { readCodec, saveCodec } from '../data/task.js'
import type { Task } from '../data/task.js'
import * as np from '../engine/api/np.js'
import type { ModelParams } from '../model/types.js'
import { batchOf } from './batch.js'
import { expectedOf, readTree } from './checkpointing.js'
import type { RunFacts } from './checkpointing.js'
import type { RunConfig } from './config.js'
import { requireDisk, requireMemory, stateBytes } from './footprint.js'
import { MetricsLog } from './metrics-log.js'
import { makeParts } from './parts.js'
import type { TrainerParts } from './parts.js'
import { Reporter } from './reporter.js'
import type { PendingStep, Progress } from './reporter.js'
import { RunSaver } from './run-saver.js'
import { writeRunStart } from './run-start.js'
import { restoreArrays } from './restore/start.js'
import type { Restored, StartingPoint } from './restore/start.js'
import type { TrainArrays } from './step.js'
import { checkSupplied } from './values.js'
import type { TrainerValues } from './values.js'

export interface TrainerRunOptions {
  /** Called after every step. */
  onProgress?: (progress: Progress) => void
  /** When it is aborted, the trainer finishes the current step, saves a checkpoint and returns. */
  signal?: AbortSignal
  /** The lock of the run's folder, if the caller holds it. Otherwise the trainer holds the lock while it runs. */
  lock?: RunLock
  /** Receives messages for a person, such as: saving is slower than training. */
  onNotice?: (message: string) => void
}

/**
 * Trains a model, from the beginning or from a checkpoint. Resuming from a checkpoint gives the same parameters, bit
 * for bit, as training without the interruption.
 */
export class Trainer {
  /** The step of the newest checkpoint: the one the run resumed from, or the last that `run` has saved. */
  private savedStep: number | undefined

  private constructor(
    private readonly parts: TrainerParts,
    private arrays: TrainArrays,
    /** How many steps have been made. */
    public step: number,
    /** What was restored at the beginning of a fine-tuning run. */
    readonly restored?: Restored,
  ) {}

  /**
   * Begins a run. The configuration names the task, the optimizer and the schedule; a value in `values` takes the place
   * of the named one. With a starting point, the run begins with its weights (fine-tuning), by the rules in
   * `config.from`. Throws a ConfigError if the parts do not fit each other, or the run does not fit into the free memory.
   */
  static async begin(config: RunConfig, values: TrainerValues = {}, start?: StartingPoint): Promise<Trainer> {
    const parts = await makeParts(config, values)
    requireMemory(parts.config, stateBytes(parts.types()))
    if (start === undefined) return new Trainer(parts, parts.initialize(), 0)
    const { arrays, restored } = await restoreArrays(parts, start)
    return new Trainer(parts, arrays, 0, restored)
  }

  /**
   * Resumes a run from a checkpoint. Its custom values (`TrainerValues`) must be supplied again. The configuration may
   * differ from the checkpoint's as long as the arrays and the data fit.
   */
  static async resume(config: RunConfig, checkpoint: Checkpoint, values: TrainerValues = {}): Promise<Trainer> {
    if (checkpoint.optimizer === undefined)
      throw new SwitchyardError(
        `${checkpoint.folder}: this checkpoint holds parameters and no optimizer state, so training cannot resume from it`,
      )
    checkSupplied(checkpoint.config, values)
    const parts = await makeParts(config, values, readCodec(checkpoint.task))
    parts.batches.restore(checkpoint.data)
    const types = parts.types()
    requireMemory(parts.config, stateBytes(types))
    const stored = parts.places.stored(types)
    const arrays = parts.places.live({
      params: await readTree(checkpoint.params, expectedOf(stored.params)),
      optimizer: await readTree(checkpoint.optimizer, expectedOf(stored.optimizer)),
    })
    const trainer = new Trainer(parts, arrays, checkpoint.step)
    trainer.savedStep = checkpoint.step
    return trainer
  }

  /** The run's configuration, as its checkpoints hold it. */
  get config(): RunConfig {
    return this.parts.config
  }

  get task(): Task {
    return this.parts.task
  }

  /**
   * The current parameters, or with `train.averageDecay` their average: those to evaluate and to infer with. The next
   * call of `run` donates them: do not use them afterwards.
   */
  get params(): ModelParams {
    return this.parts.places.used(this.arrays) as ModelParams
  }

  /** How many examples are longer than a row, and therefore not trained on. */
  get skippedExamples(): number {
    return this.parts.batches.skipped
  }

  /**
   * Makes the remaining steps, and saves checkpoints and records in the run's folder. Throws a FileError if another
   * process is training there, and a SwitchyardError when the loss is no longer finite; earlier checkpoints stay as
   * they are. After a resume, the first new checkpoint takes the place of those that the previous attempt made after
   * the resumed step.
   */
  async run(folder: string, options: TrainerRunOptions = {}): Promise<'finished' | 'interrupted'> {
    const lock = options.lock ?? (await RunLock.acquire(folder))
    try {
      return await this.runLocked(folder, options)
    } finally {
      await this.parts.batches.stop()
      if (options.lock === undefined) await lock.release()
    }
  }

  private async runLocked(folder: string, options: TrainerRunOptions): Promise<'finished' | 'interrupted'> {
    const { train } = this.config
    const log = new MetricsLog(folder)
    await requireDisk(folder, this.config, this.step, stateBytes(this.arrays))
    if (this.savedStep === undefined) await this.enter(folder)
    await log.open(this.step)
    const saver = new RunSaver(folder, log, { train, resumedStep: this.savedStep, onNotice: options.onNotice })
    try {
      return await this.runSteps(saver, new Reporter(log, train, options.onProgress), options.signal)
    } finally {
      await saver.settle()
      this.savedStep = saver.savedStep
    }
  }

  private async runSteps(
    saver: RunSaver,
    reporter: Reporter,
    signal: AbortSignal | undefined,
  ): Promise<'finished' | 'interrupted'> {
    const { steps } = this.config.train
    // From its first moment, a fine-tuning run can be resumed without the weights that it began with.
    if (this.restored !== undefined && saver.savedStep === undefined) await saver.finish(this.facts(), this.stored)
    // A step's loss is read after the next step was sent to the backend, which therefore never waits for JavaScript.
    let pending: PendingStep | undefined
    const report = async (): Promise<void> => {
      if (pending === undefined) return
      const loss = await reporter.report(pending)
      if (!Number.isFinite(loss)) throw diverged(saver, pending.step, loss)
      pending = undefined
    }
    while (this.step < steps && !signal?.aborted) {
      saver.check()
      const next = await this.advance()
      await report()
      pending = next
      if (this.isSaved(this.step)) {
        await report()
        await saver.save(this.facts(), this.stored)
      }
    }
    await report()
    await saver.finish(this.facts(), this.stored)
    return this.step < steps ? 'interrupted' : 'finished'
  }

  /** Whether a checkpoint is saved after a step before the last. */
  private isSaved(step: number): boolean {
    const { steps, checkpointEvery, keepEvery } = this.config.train
    return step < steps && (step % checkpointEvery === 0 || (keepEvery !== null && step % keepEvery === 0))
  }

  /** The arrays as checkpoints hold them. */
  private get stored(): TrainArrays {
    return this.parts.places.stored(this.arrays)
  }

  /** What a checkpoint of the current step holds besides arrays. */
  private facts(): RunFacts {
    const { step, config, task } = this
    return {
      step,
      config,
      task: saveCodec(task),
      data: this.parts.batches.state(),
      seed: config.train.seed,
      libraryVersion,
    }
  }

  /** Checks that the folder of a new run holds no other run, and writes `run.json` there. */
  private async enter(folder: string): Promise<void> {
    const latest = await latestCheckpoint(folder)
    if (latest !== undefined)
      throw new FileError(`${latest}: the folder already holds a run: resume that run, or train in another folder`)
    await writeRunStart(folder, { config: this.config })
  }

  /** Sends one step to the backend, without waiting for it. */
  private async advance(): Promise<PendingStep> {
    const { batches, schedule, stepKey, trainStep } = this.parts
    const { features, examples } = await batches.next()
    const learningRate = schedule(this.step)
    const { arrays, metrics } = trainStep(this.arrays, {
      batch: batchOf(features),
      key: stepKey,
      step: np.array(this.step + this.parts.firstUpdate, 'int32'),
      learningRate: np.array(learningRate),
    })
    this.arrays = arrays
    this.step++
    return { step: this.step, examples, learningRate, metrics }
  }
}

const diverged = (saver: RunSaver, step: number, loss: number): SwitchyardError =>
  new SwitchyardError(
    `the loss is ${loss} at step ${step}; ${saver.remains}. A lower train.schedule.peak or train.clipNorm may help`,
  )
