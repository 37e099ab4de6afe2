import { Counter, Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import type { PagingStatistics } from '../../infer/paged-experts.js'

/** What reading experts costs, for models whose experts are paged: for each sparse layer, and by source. */
export class PagingMetrics {
  private readonly metrics

  constructor(registers: Registry[]) {
    const ofLayer = { labelNames: ['model_name', 'layer'], registers }
    this.metrics = {
      memory: new Gauge({
        name: 'switchyard:expert_memory_bytes',
        help: 'Memory that holds experts, for models whose experts are read when tokens meet them.',
        labelNames: ['model_name'],
        registers,
      }),
      hits: new Counter({
        name: 'switchyard:expert_hits_total',
        help: 'Experts that were in memory when a layer asked for them.',
        ...ofLayer,
      }),
      misses: new Counter({
        name: 'switchyard:expert_misses_total',
        help: 'Experts that had to be read.',
        ...ofLayer,
      }),
      pageBytes: new Counter({
        name: 'switchyard:expert_page_bytes_total',
        help: 'Bytes of the experts that were read.',
        ...ofLayer,
      }),
      waited: new Counter({
        name: 'switchyard:expert_wait_seconds_total',
        help: 'Time in which a layer waited for an expert and computed nothing.',
        ...ofLayer,
      }),
      read: new Counter({
        name: 'switchyard:expert_read_bytes_total',
        help: 'Bytes that were read, by where they came from: disk or network.',
        labelNames: ['model_name', 'source'],
        registers,
      }),
    }
  }

  reset(): void {
    for (const metric of Object.values(this.metrics)) metric.reset()
  }

  set(model_name: string, { memoryBytes, traffic, stacks }: PagingStatistics): void {
    const { memory, hits, misses, pageBytes, waited, read } = this.metrics
    memory.set({ model_name }, memoryBytes)
    read.inc({ model_name, source: 'disk' }, traffic.disk)
    read.inc({ model_name, source: 'network' }, traffic.network)
    for (const { path, ...counts } of stacks) {
      const labels = { model_name, layer: path.replace(/\/mlp\/expert$/, '') }
      hits.inc(labels, counts.hits)
      misses.inc(labels, counts.misses)
      pageBytes.inc(labels, counts.bytes)
      waited.inc(labels, counts.waited / 1000)
    }
  }
}
