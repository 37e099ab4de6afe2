import { MetricsLog } from './metrics-log.js'
import type { MetricsRecord } from './metrics-log.js'
import { Pace } from './pace.js'
import type { StepMetrics } from './step.js'

/** The state of a run after a step, for a progress display. */
export interface Progress {
  /** Steps made so far, and in the whole run. */
  readonly step: number
  readonly steps: number
  readonly loss: number
  readonly examplesPerSecond: number
  readonly secondsLeft: number
  /** The latest record of all figures; undefined before the first. */
  readonly record: MetricsRecord | undefined
}

/** A step that was sent to the backend and whose figures have not been read. */
export interface PendingStep {
  /** Its number, from 1. */
  readonly step: number
  readonly examples: number
  readonly learningRate: number
  readonly metrics: StepMetrics
}

/** Reads the figures of finished steps: measures the pace, appends records to metrics.jsonl, and reports progress. */
export class Reporter {
  private readonly pace = new Pace()
  private record: MetricsRecord | undefined

  constructor(
    private readonly log: MetricsLog,
    private readonly train: { readonly steps: number; readonly logEvery: number },
    private readonly onProgress: ((progress: Progress) => void) | undefined,
  ) {}

  /** Waits for a step and reports it. Resolves to its loss; if that is not finite, nothing is recorded. */
  async report({ step, examples, learningRate, metrics }: PendingStep): Promise<number> {
    const { steps, logEvery } = this.train
    const loss = await metrics.loss.item()
    if (!Number.isFinite(loss)) return loss
    this.pace.add(examples)
    const { examplesPerSecond } = this.pace
    if (step % logEvery === 0 || step === steps) {
      this.record = { step, learningRate, examplesPerSecond, ...(await figuresOf(metrics)) }
      await this.log.append(this.record)
    }
    const secondsLeft = this.pace.secondsFor(steps - step)
    this.onProgress?.({ step, steps, loss, examplesPerSecond, secondsLeft, record: this.record })
    return loss
  }
}

/** Metrics as numbers: a number for each scalar, a list for each array. */
async function figuresOf(metrics: StepMetrics): Promise<Record<string, number | number[]>> {
  const entries = Object.entries(metrics).map(
    async ([name, value]) => [name, value.size === 1 ? await value.item() : await value.numbers()] as const,
  )
  return Object.fromEntries(await Promise.all(entries))
}
