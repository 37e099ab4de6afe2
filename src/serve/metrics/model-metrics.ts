import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { ModelStatistics, ServedModel } from '../models/served-model.js'
import { PagingMetrics } from './paging-metrics.js'
import { StepTokens } from './step-tokens.js'

/** The state and the counts of the models' engines, as they are when the metrics are read. */
export class ModelMetrics {
  private readonly gauges
  private readonly counters
  private readonly stepTokens = new StepTokens()
  private readonly paging: PagingMetrics

  constructor(registers: Registry[]) {
    for (const registry of registers) this.stepTokens.register(registry)
    this.paging = new PagingMetrics(registers)
    const of = { labelNames: ['model_name'], registers }
    this.gauges = {
      running: new Gauge({ name: 'vllm:num_requests_running', help: 'Requests that are being decoded.', ...of }),
      waiting: new Gauge({ name: 'vllm:num_requests_waiting', help: 'Requests that wait for room.', ...of }),
      memory: new Gauge({
        name: 'vllm:kv_cache_usage_perc',
        help: "The share of the decoder's memory (keys and values) that is in use, from 0 to 1.",
        ...of,
      }),
    }
    this.counters = {
      steps: new Counter({ name: 'switchyard:decoder_steps_total', help: 'Steps of the decoder.', ...of }),
      dropped: new Counter({
        name: 'switchyard:dropped_tokens_total',
        help: 'Tokens that met no expert, since its capacity was full.',
        ...of,
      }),
      experts: new Counter({
        name: 'switchyard:expert_tokens_total',
        help: 'Tokens that an expert of a sparse layer of the decoder got.',
        labelNames: ['model_name', 'layer', 'expert'],
        registers,
      }),
    }
  }

  /** Reads the models' statistics. A model that cannot tell them now is left out. */
  async update(models: readonly ServedModel[]): Promise<void> {
    const read = await Promise.allSettled(models.map(model => model.statistics()))
    const metrics = [...Object.values(this.gauges), ...Object.values(this.counters), this.stepTokens, this.paging]
    for (const metric of metrics) metric.reset()
    read.forEach((result, i) => {
      if (result.status === 'fulfilled') this.set(models[i].facts.name, result.value)
    })
  }

  private set(model_name: string, statistics: ModelStatistics): void {
    const { gauges, counters } = this
    if (statistics.paging) this.paging.set(model_name, statistics.paging)
    const { running, waiting, memoryBytes, maxMemoryBytes, steps, droppedTokens, expertTokens } = statistics
    gauges.running.set({ model_name }, running)
    gauges.waiting.set({ model_name }, waiting)
    gauges.memory.set({ model_name }, maxMemoryBytes > 0 ? memoryBytes / maxMemoryBytes : 0)
    counters.steps.inc({ model_name }, steps)
    counters.dropped.inc({ model_name }, droppedTokens)
    this.stepTokens.set(model_name, statistics)
    expertTokens.forEach((layerTokens, layer) =>
      layerTokens.forEach((tokens, expert) => counters.experts.inc({ model_name, layer, expert }, tokens)),
    )
  }
}
