import type { Tensor } from '../engine/api/tensor.js'
import { peakFlopsPerSecond } from './machine-peak.js'
import type { MetricsRecord } from './metrics-log.js'
import { Pace } from './pace.js'
import type { Work } from './pace.js'
import type { StepMetrics } from './step.js'
import type { Validation } from './validation.js'

/** The state of a run after a step, for a progress display. */
export interface Progress {
  /** Steps made so far, and in the whole run. */
  readonly step: number
  readonly steps: number
  readonly loss: number
  /** The share of tokens that this step's routers dropped; undefined without sparse layers. */
  readonly shareDropped: number | undefined
  /** Undefined after the first step that is made, whose time includes compilation. */
  readonly pace: Speed | undefined
  /** The latest record of all figures; undefined before the first. */
  readonly record: MetricsRecord | undefined
  /** The latest validation; undefined before the first. */
  readonly validation: Validation | undefined
}

/** How fast training is, by its last steps. */
export interface Speed {
  readonly examplesPerSecond: number
  readonly tokensPerSecond: number
  readonly secondsLeft: number
}

/** A step that was sent to the backend and whose figures have not been read. */
export interface PendingStep extends Work {
  /** Its number, from 1. */
  readonly step: number
  readonly learningRate: number
  /** The share of the batch's tokens that are not padding. */
  readonly packingEfficiency: number
  readonly metrics: StepMetrics
}

export interface ReporterOptions {
  readonly train: { readonly steps: number; readonly logEvery: number }
  /** The multiplications and additions of one step's matrix products, once the step is traced. */
  readonly flopsPerStep: () => number
  readonly onProgress?: (progress: Progress) => void
}

/** Where records are written: `MetricsLog`, `EventLog`. */
export interface RecordLog {
  append(record: MetricsRecord): Promise<void>
}

/** Reads the figures of finished steps: measures the pace, appends records to the run's logs, and reports progress. */
export class Reporter {
  readonly pace = new Pace()
  private record: MetricsRecord | undefined
  private validation: Validation | undefined

  constructor(
    private readonly logs: readonly RecordLog[],
    private readonly options: ReporterOptions,
  ) {}

  /** Whether the figures of this step are recorded. */
  records(step: number): boolean {
    const { steps, logEvery } = this.options.train
    return step % logEvery === 0 || step === steps
  }

  /**
   * Waits for a step and reports it. Resolves to its loss and the norm of its gradients; if one is not finite, nothing
   * is recorded.
   */
  async report(pending: PendingStep): Promise<{ loss: number; gradientNorm: number }> {
    const { step, learningRate, packingEfficiency, metrics } = pending
    const { steps } = this.options.train
    const [loss, gradientNorm, shareDropped] = await Promise.all([
      metrics.loss.item(),
      metrics.gradientNorm.item(),
      (metrics as Partial<StepMetrics>).shareDropped?.item(),
    ])
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) return { loss, gradientNorm }
    this.pace.add(pending)
    const { examplesPerSecond, tokensPerSecond } = this.pace
    if (this.records(step)) {
      this.record = {
        step,
        learningRate,
        packingEfficiency,
        examplesPerSecond,
        tokensPerSecond,
        ...(await this.efficiency()),
        ...(await figuresOf(metrics)),
      }
      await this.append(this.record)
    }
    const { record, validation } = this
    const secondsLeft = this.pace.secondsFor(steps - step)
    const pace = this.pace.isMeasured ? { examplesPerSecond, tokensPerSecond, secondsLeft } : undefined
    this.options.onProgress?.({ step, steps, loss, shareDropped, pace, record, validation })
    return { loss, gradientNorm }
  }

  /** Records a validation. */
  async recordValidation(validation: Validation): Promise<void> {
    this.validation = validation
    const { step, loss, accuracy, metric } = validation
    await this.append({
      step,
      'validation/loss': loss,
      'validation/accuracy': accuracy,
      ...(metric && { [`validation/${metric.name}`]: metric.value }),
    })
  }

  private async append(record: MetricsRecord): Promise<void> {
    for (const log of this.logs) await log.append(record)
  }

  /** How well the machine is used. */
  private async efficiency(): Promise<Record<string, number>> {
    const flopsPerSecond = this.options.flopsPerStep() * this.pace.stepsPerSecond
    const peak = await this.pace.pause(peakFlopsPerSecond)
    return { flopsPerSecond, shareOfPeak: flopsPerSecond / peak, shareWaitedForData: this.pace.shareWaited }
  }
}

/** Metrics as numbers: a number for each scalar, a list for each array. */
async function figuresOf(metrics: StepMetrics): Promise<Record<string, number | number[]>> {
  const read = async (value: Tensor): Promise<number | number[]> =>
    value.size === 1 ? await value.item() : await value.numbers()
  const entries = Object.entries(metrics).map(async ([name, value]) => [name, await read(value)] as const)
  return Object.fromEntries(await Promise.all(entries))
}
