import type { Gauge, Registry } from 'prom-client'
import type { ModelStatistics } from '../models/served-model.js'

const NAME = 'vllm:iteration_tokens_total'
/** Buckets are powers of two up to this exponent. */
const MOST = 14

interface Sample {
  readonly metricName: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/**
 * How many tokens the steps of a model's scheduler read and generate: a histogram that the scheduler has counted.
 * prom-client's own histograms are made by single observations.
 */
export class StepTokens {
  private samples: Sample[] = []

  register(registry: Registry): void {
    const metric = {
      name: NAME,
      get: () =>
        Promise.resolve({
          name: NAME,
          help: 'Tokens of inputs and answers in each step of the scheduler.',
          type: 'histogram',
          aggregator: 'sum',
          values: this.samples,
        }),
      reset: () => this.reset(),
    }
    registry.registerMetric(metric as unknown as Gauge)
  }

  reset(): void {
    this.samples = []
  }

  set(model_name: string, { stepTokens, inputTokens, generatedTokens }: ModelStatistics): void {
    const add = (suffix: string, value: number, labels: Sample['labels'] = {}): void => {
      this.samples.push({ metricName: `${NAME}_${suffix}`, labels: { ...labels, model_name }, value })
    }
    const all = stepTokens.reduce((sum, steps) => sum + steps, 0)
    let below = 0
    for (let exponent = 0; exponent <= MOST; exponent++) {
      below += stepTokens[exponent] ?? 0
      add('bucket', below, { le: String(2 ** exponent) })
    }
    add('bucket', all, { le: '+Inf' })
    add('sum', inputTokens + generatedTokens)
    add('count', all)
  }
}
