import { join } from 'node:path'
import { FileError, SwitchyardError } from '../base/errors.js'
import { libraryVersion } from '../base/version.js'
import type { Checkpoint } from '../checkpoint/native.js'
import type { HeldLock } from '../checkpoint/run-lock.js'
import { saveTask } from '../data/save-task.js'
import { readCodec } from '../data/task.js'
import type { SavedCodec, Task } from '../data/task.js'
import type { ModelParams } from '../model/types.js'
import type { BestValidation } from './best.js'
import { readModel } from './checkpointing.js'
import type { RunFacts } from './checkpointing.js'
import type { RunConfig } from './config.js'
import { checkTeacher } from './distillation/teacher.js'
import type { Divergence } from './divergence.js'
import { requireDisk } from './footprint.js'
import { MetricsLog } from './metrics-log.js'
import { makeParts } from './parts.js'
import type { RunArrays } from './model-parts.js'
import type { TrainerParts } from './parts.js'
import { EventLog } from './tensorboard/event-log.js'
import { Reporter } from './reporter.js'
import type { Progress } from './reporter.js'
import { explainDivergence, readArrays, replay } from './replay.js'
import { RunSaver } from './run-saver.js'
import { currentJob } from './job/job.js'
import { lockRun } from './job/lock-run.js'
import { enterRunFolder } from './run-start.js'
import { restoreArrays } from './restore/start.js'
import type { Restored, StartingPoint } from './restore/start.js'
import { settledAs } from './settled-model.js'
import { sendStep } from './send-step.js'
import type { SentStep } from './send-step.js'
import type { TrainArrays } from './step.js'
import { Validations } from './validations.js'
import { stateBytes } from './state-bytes.js'
import { checkSupplied } from './values.js'
import type { TrainerValues } from './values.js'

export interface TrainerRunOptions {
  /** Called after every step. */
  onProgress?: (progress: Progress) => void
  /** When it is aborted, the trainer finishes the current step, saves a checkpoint and returns. */
  signal?: AbortSignal
  /** The lock of the run's folder, if the caller holds it. Otherwise the trainer holds the lock while it runs. */
  lock?: HeldLock
  /** Receives messages for a person, such as: saving is slower than training. */
  onNotice?: (message: string) => void
}

/** How a run ended: see `Trainer.run`. */
export type RunEnd = 'finished' | 'stopped' | 'interrupted'

/**
 * Trains a model, from the beginning or from a checkpoint. Resuming from a checkpoint gives the same parameters, bit
 * for bit, as training without the interruption.
 */
export class Trainer {
  /** The step of the newest checkpoint: the one the run resumed from, or the last that `run` has saved. */
  private savedStep: number | undefined
  /** The task as checkpoints hold it: the same in all of them. */
  private savedTask: SavedCodec | undefined

  private readonly validations: Validations
  /** The position of the data at the beginning. */
  private readonly firstBatches: unknown

  private constructor(
    private readonly parts: TrainerParts,
    private readonly values: TrainerValues,
    private arrays: RunArrays,
    /** How many steps have been made. */
    public step: number,
    /** What was restored at the beginning of a fine-tuning run. */
    readonly restored?: Restored,
    best?: BestValidation,
  ) {
    const { router, meaning } = values
    this.validations = new Validations(parts.config, parts.task, { router, meaning }, best)
    this.firstBatches = structuredClone(parts.batches.state())
  }

  /**
   * Begins a run. The configuration names the task, the optimizer and the schedule; a value in `values` takes the
   * place of the named one. With a starting point, the run begins with its weights (fine-tuning), by the rules in
   * `config.from`. Throws a ConfigError if the parts do not fit each other, or the run does not fit into the free
   * memory.
   */
  static async begin(config: RunConfig, values: TrainerValues = {}, start?: StartingPoint): Promise<Trainer> {
    const parts = await makeParts(config, values)
    checkTeacher(parts.config.distill, values.teacher)
    if (start === undefined) return new Trainer(parts, values, parts.initialize(), 0)
    const { arrays, restored } = await restoreArrays(parts, start)
    return new Trainer(parts, values, arrays, 0, restored)
  }

  /**
   * Resumes a run from a checkpoint. Its custom values (`TrainerValues`) must be supplied again. The configuration may
   * differ from the checkpoint's as long as the arrays and the data fit. Special ids and defaults of generation that it
   * leaves open are the checkpoint's.
   */
  static async resume(config: RunConfig, checkpoint: Checkpoint, values: TrainerValues = {}): Promise<Trainer> {
    if (checkpoint.optimizer === undefined)
      throw new SwitchyardError(
        `${checkpoint.folder}: this checkpoint holds parameters and no optimizer state, so training cannot resume from it`,
      )
    checkSupplied(checkpoint.config, values)
    const settled = { ...config, model: settledAs(checkpoint.config, config.model) }
    const parts = await makeParts(settled, values, readCodec(checkpoint.task))
    parts.batches.restore(checkpoint.data)
    const arrays = await readArrays(parts, checkpoint)
    const trainer = new Trainer(parts, values, arrays, checkpoint.step, undefined, checkpoint.best)
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

  /** The best validation so far; undefined if the run does not validate its model. */
  get best(): BestValidation | undefined {
    return this.validations.best
  }

  /**
   * The current parameters, or with `train.averageDecay` their average: those to evaluate and to infer with. The next
   * call of `run` donates them: do not use them afterwards. Several processes gather them: all of them ask for them.
   */
  get params(): ModelParams {
    return this.parts.usedParameters(this.arrays)
  }

  /** Whether the task has validation examples that fit a row. */
  get canValidate(): boolean {
    return this.validations.hasExamples
  }

  /** How many examples are longer than a row, and therefore not trained on. */
  get skippedExamples(): number {
    return this.parts.batches.skipped
  }

  /**
   * Makes the remaining steps, and saves checkpoints and records in the run's folder. `stopped`: before the last step,
   * because validations no longer got better (`train.patience`). Throws a FileError if another process is training
   * there, and a SwitchyardError when a loss or gradient is not finite; earlier checkpoints stay as they are. After a
   * resume, the first new checkpoint takes the place of those that the previous attempt made after the resumed step.
   */
  async run(folder: string, options: TrainerRunOptions = {}): Promise<RunEnd> {
    const lock = options.lock ?? (await lockRun(folder))
    try {
      return await this.runLocked(folder, options)
    } finally {
      await this.parts.batches.stop()
      if (options.lock === undefined) await lock.release()
    }
  }

  private async runLocked(folder: string, options: TrainerRunOptions): Promise<RunEnd> {
    const { train } = this.config
    const job = currentJob()
    const log = new MetricsLog(folder)
    if (job.isFirst) {
      await requireDisk(folder, this.config, this.step, stateBytes(this.arrays))
      if (this.savedStep === undefined) await enterRunFolder(folder, { config: this.config })
      await log.open(this.step)
    }
    const { onNotice, onProgress } = options
    const { onStep, onCheckpoint } = job.isFirst ? this.values : {}
    const saver = new RunSaver(folder, log, { train, job, resumedStep: this.savedStep, onNotice, onCheckpoint })
    const reporter = new Reporter(job.isFirst ? [log, new EventLog(folder, this.step)] : [], {
      train,
      flopsPerStep: this.parts.flopsPerStep,
      onProgress: progress => {
        onStep?.(progress)
        onProgress?.(progress)
      },
    })
    try {
      return await this.runSteps(saver, reporter, options.signal)
    } catch (error) {
      await saver.settle()
      if (!(error instanceof Diverged)) throw error instanceof FileError ? saver.withRemains(error) : error
      throw await explainDivergence(error.divergence, {
        parts: this.parts,
        folder,
        savedStep: saver.savedStep,
        firstBatches: this.firstBatches,
        remains: saver.remains,
        pace: reporter.pace,
        onNotice,
      })
    } finally {
      await saver.settle()
      this.savedStep = saver.savedStep
    }
  }

  private async runSteps(saver: RunSaver, reporter: Reporter, signal: AbortSignal | undefined): Promise<RunEnd> {
    const { steps } = this.config.train
    // From its first moment, a fine-tuning run can be resumed without the weights that it began with.
    if (this.restored !== undefined && saver.savedStep === undefined) await saver.finish(this.facts(), this.stored)
    // A step's loss is read after the next step was sent to the backend, which therefore never waits for JavaScript.
    let pending: SentStep | undefined
    const report = async (): Promise<void> => {
      if (pending === undefined) return
      const { loss, gradientNorm } = await reporter.report(pending)
      if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm))
        throw new Diverged({ ...pending, loss, gradientNorm })
      pending = undefined
    }
    const { validations } = this
    const job = currentJob()
    while (this.step < steps && !validations.isExhausted(this.step) && !(await job.any(signal?.aborted ?? false))) {
      saver.check()
      const { arrays, sent } = await sendStep(this.parts, this.arrays, this.step, reporter.records(this.step + 1))
      this.arrays = arrays
      this.step++
      await report()
      pending = sent
      let isBest = false
      if (validations.isDue(this.step)) {
        await report()
        isBest = await this.validate(reporter)
      }
      if (isBest || this.isSaved(this.step)) {
        await report()
        await saver.save(this.facts(), this.stored)
      }
    }
    await report()
    await saver.finish(this.facts(), this.stored)
    if (validations.isExhausted(this.step)) return 'stopped'
    return this.step < steps ? 'interrupted' : 'finished'
  }

  /** Validates the model, and says whether it is the best so far. */
  private async validate(reporter: Reporter): Promise<boolean> {
    const job = currentJob()
    const { parts, arrays, step, validations } = this
    const model = {
      evaluate: parts.evaluate?.(arrays),
      // Only the first of several processes has the parameters, one array of which is gathered at a time.
      withParams: async <T>(compute: (params: ModelParams) => Promise<T>) => {
        const params = job.several ? await parts.gatherUsed(arrays) : parts.usedParameters(arrays)
        return job.fromFirst(() => compute(params!))
      },
    }
    const own = await reporter.pace.validate(() => validations.validate(model, step))
    // All processes compute this, perhaps on different processors, and have to go on alike.
    const { validation, isBest, best } = await job.fromFirst(async () => ({ ...own, best: validations.best }))
    validations.best = best
    await reporter.recordValidation(validation)
    if (job.isFirst) await this.values.onValidation?.(validation)
    return isBest
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
      task: (this.savedTask ??= saveTask(task)),
      data: this.parts.batches.state(),
      seed: config.train.seed,
      libraryVersion,
      best: this.validations.best,
    }
  }

  /**
   * The parameters of the run's best checkpoint, if it has validated its model and the best is not the current one;
   * else the current parameters. A process of several, which has parts of these, reads all of them from the checkpoint
   * that `run` has saved at its end.
   */
  async bestParams(folder: string): Promise<ModelParams> {
    const step = this.validations.best?.step ?? this.step
    if (step === this.step && currentJob().several === null) return this.params
    return readModel(join(folder, `step-${step}`), this.parts.specs, this.config.train.lora)
  }

  /**
   * Makes the steps before `step` (from 1) again without saving anything, then runs that step in the interpreter.
   * Returns a sentence that names the first equation with a NaN in its result and none in its operands; undefined if
   * there is none. The trainer cannot be used afterwards. All processes of a job call this.
   */
  async findNaN(step: number): Promise<string | undefined> {
    try {
      return await replay(this.parts, { arrays: this.arrays, step: this.step }, step)
    } finally {
      await this.parts.batches.stop()
    }
  }
}

/** Ends the loop of steps. */
class Diverged extends Error {
  constructor(readonly divergence: Divergence) {
    super('diverged')
  }
}
