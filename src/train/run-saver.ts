import { FileError } from '../base/errors.js'
import { abandonAfter } from '../checkpoint/run-folder.js'
import { saveTensors } from './checkpointing.js'
import type { RunFacts } from './checkpointing.js'
import type { TrainConfig } from './config.js'
import type { Job } from './job/job.js'
import { sendParts } from './job/saved-parts.js'
import type { MetricsLog } from './metrics-log.js'
import { removeRunStart } from './run-start.js'
import { requireFinite, Snapshot, viewsOf } from './snapshot.js'
import type { HostTensors } from './snapshot.js'
import type { TrainArrays } from './step.js'
import type { SavedCheckpoint } from './values.js'

export interface RunSaverOptions {
  readonly train: Pick<TrainConfig, 'keep' | 'keepEvery' | 'asyncSave' | 'checkpointEvery'>
  /** The processes that make the run. All of them save at the same steps. */
  readonly job: Job
  /** The step of the checkpoint that the run resumes from. */
  readonly resumedStep?: number
  /** Receives a message for a person: saving is slower than the interval between two checkpoints. */
  readonly onNotice?: (message: string) => void
  /** Called when a checkpoint is in place. */
  readonly onCheckpoint?: (checkpoint: SavedCheckpoint) => void | Promise<void>
  /** The notice is given after a wait of this many milliseconds. Default: 2000. */
  readonly noticeAfter?: number
}

/**
 * Saves the checkpoints of one run, in the background: `save` copies the arrays and resolves, and the copy is written
 * while training goes on. At most one save is in flight; the next one waits for it. An error of a save in flight is
 * thrown by the next call of `check`, `save` or `finish`.
 */
export class RunSaver {
  /** The step of the newest checkpoint that is in place; undefined before the first. */
  savedStep: number | undefined
  /** Until the first save after a resume: the step that the run resumed from. */
  private resumedStep: number | undefined
  private inFlight: Promise<void> | undefined
  private failure: { readonly error: unknown } | undefined
  private isWaitNoticed = false
  private readonly copies = { params: new Snapshot(), optimizer: new Snapshot() }

  constructor(
    private readonly folder: string,
    private readonly log: MetricsLog,
    private readonly options: RunSaverOptions,
  ) {
    this.savedStep = options.resumedStep
    this.resumedStep = options.resumedStep
  }

  /**
   * Saves the state of a step. When the promise resolves, the arrays may be donated to the next step. The first save
   * after a resume is complete when the promise resolves, because it takes the place of later checkpoints and records.
   */
  async save(facts: RunFacts, arrays: TrainArrays): Promise<void> {
    const began = performance.now()
    await this.settle()
    this.noticeWait(performance.now() - began)
    this.check()
    const { job, train } = this.options
    // Several processes send their parts, which is a part of their common work.
    if (!train.asyncSave || job.several !== null || this.resumedStep !== undefined) return this.saveNow(facts, arrays)
    const params = await this.copies.params.take(arrays.params)
    const optimizer = await this.copies.optimizer.take(arrays.optimizer)
    // The position of the data changes with the next batch.
    const saving = this.write({ ...facts, data: structuredClone(facts.data) }, { params, optimizer })
    this.inFlight = saving.then(
      () => {
        this.inFlight = undefined
      },
      (error: unknown) => {
        this.inFlight = undefined
        this.failure = { error }
      },
    )
  }

  /** Saves the state of the last step, without copying it. Complete when the promise resolves. */
  async finish(facts: RunFacts, arrays: TrainArrays): Promise<void> {
    await this.settle()
    this.check()
    if (this.savedStep !== facts.step) await this.saveNow(facts, arrays)
  }

  /** Throws the error of a save in flight that has failed. */
  check(): void {
    if (this.failure !== undefined) throw this.failure.error
  }

  /** Waits for the save in flight. Its error is left to `check`. */
  async settle(): Promise<void> {
    await this.inFlight
  }

  /** What is left if training fails, for an error message. */
  get remains(): string {
    return this.savedStep === undefined
      ? 'no checkpoint was saved'
      : `the last checkpoint, of step ${this.savedStep} in ${this.folder}, is not affected`
  }

  /** The error with what is left of the run. */
  withRemains(error: FileError): FileError {
    const { remains } = this
    return error.message.includes(remains) ? error : new FileError(`${error.message}; ${remains}`, { cause: error })
  }

  private async saveNow(facts: RunFacts, arrays: TrainArrays): Promise<void> {
    const [params, optimizer] = [await viewsOf(arrays.params), await viewsOf(arrays.optimizer)]
    if (!this.options.job.isFirst) return this.send(facts.step, arrays, { params, optimizer })
    await this.write(facts, { params, optimizer })
  }

  /** On a process that does not write files: sends its parts to the one that does. */
  private async send(
    step: number,
    arrays: TrainArrays,
    views: { params: HostTensors; optimizer: HostTensors },
  ): Promise<void> {
    requireFinite(views.params, step)
    requireFinite(views.optimizer, step)
    await sendParts(arrays.params)
    await sendParts(arrays.optimizer)
    this.savedStep = step
    this.resumedStep = undefined
  }

  private async write(facts: RunFacts, tensors: { params: HostTensors; optimizer: HostTensors }): Promise<void> {
    const { folder, log, resumedStep } = this
    const { step } = facts
    if (resumedStep !== undefined) await abandonAfter(folder, resumedStep, step)
    let checkpoint: string
    try {
      await log.prepare(step)
      checkpoint = await saveTensors(folder, facts, tensors, this.options.train)
      await log.commit(step)
    } catch (error) {
      throw error instanceof FileError ? this.withRemains(error) : error
    }
    if (this.savedStep === undefined) await removeRunStart(folder)
    this.savedStep = step
    this.resumedStep = undefined
    await this.options.onCheckpoint?.({ step, folder: checkpoint })
  }

  /** Says once that training has waited long for a save. */
  private noticeWait(milliseconds: number): void {
    const { train, noticeAfter = 2000, onNotice } = this.options
    if (this.isWaitNoticed || milliseconds < noticeAfter) return
    this.isWaitNoticed = true
    onNotice?.(
      `saving a checkpoint takes longer than ${train.checkpointEvery} steps, so training waits for it: a larger train.checkpointEvery avoids this`,
    )
  }
}
