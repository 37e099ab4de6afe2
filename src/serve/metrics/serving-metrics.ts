import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { AnswerPiece } from '../../infer/answer-piece.js'
import { CLIENT_GONE } from '../http/api-error.js'
import type { ServedModel } from '../models/served-model.js'
import { ModelMetrics } from './model-metrics.js'

/** Seconds: from what a small model needs to what a large one on a busy CPU does. */
const BETWEEN_TOKENS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2]
const OF_REQUESTS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300, 600]

/** How an answer ended: as its `finish_reason` says, or because its client left, or with an error of the server. */
type Ended = 'stop' | 'length' | 'abort' | 'error'

/** The metrics of one server for Prometheus. What vLLM measures, too, has the name that vLLM gives it. */
export class ServingMetrics {
  private readonly registry = new Registry()
  private readonly counters
  private readonly latencies
  private readonly http

  /** `models` are asked for their statistics when the metrics are read. */
  constructor(models: () => readonly ServedModel[]) {
    const registers = [this.registry]
    const of = { labelNames: ['model_name'] as const, registers }
    this.counters = {
      prompt: new Counter({ name: 'vllm:prompt_tokens_total', help: 'Tokens that entered the encoder.', ...of }),
      generated: new Counter({ name: 'vllm:generation_tokens_total', help: 'Tokens of answers.', ...of }),
      success: new Counter({
        name: 'vllm:request_success_total',
        help: 'Answers that ended, by the reason: stop, length, abort (the client left), error (of the server).',
        labelNames: ['model_name', 'finished_reason'],
        registers,
      }),
    }
    this.latencies = {
      first: new Histogram({
        name: 'vllm:time_to_first_token_seconds',
        help: 'From the request to the first token of an answer.',
        buckets: OF_REQUESTS,
        ...of,
      }),
      between: new Histogram({
        name: 'vllm:inter_token_latency_seconds',
        help: 'Between two tokens of an answer.',
        buckets: BETWEEN_TOKENS,
        ...of,
      }),
      whole: new Histogram({
        name: 'vllm:e2e_request_latency_seconds',
        help: 'From the request to the end of an answer.',
        buckets: OF_REQUESTS,
        ...of,
      }),
    }
    this.http = new Counter({
      name: 'switchyard:http_requests_total',
      help: 'HTTP requests that were answered, by endpoint and status.',
      labelNames: ['endpoint', 'status'],
      registers,
    })
    const ofModels = new ModelMetrics(registers)
    new Gauge({
      name: 'process_resident_memory_bytes',
      help: 'Memory of the process that answers HTTP.',
      registers,
      collect() {
        this.set(process.memoryUsage.rss())
      },
    })
    this.read = async () => {
      await ofModels.update(models())
      return { text: await this.registry.metrics(), contentType: this.registry.contentType }
    }
  }

  /** All metrics, in Prometheus' text format. */
  readonly read: () => Promise<{ text: string; contentType: string }>

  httpRequest(endpoint: string, status: number): void {
    this.http.inc({ endpoint, status })
  }

  /** Measures the answers of one request to a model: `answers` of them. */
  watch(model_name: string, answers: number): AnswerWatch {
    const { counters, latencies } = this
    const began = performance.now()
    const lastTokens = new Map<string, number>()
    let open = answers
    const end = (finished_reason: Ended): void => {
      open--
      counters.success.inc({ model_name, finished_reason })
    }
    return {
      input: tokens => counters.prompt.inc({ model_name }, tokens),
      piece(answer, { tokens, finish }) {
        const now = performance.now()
        if (tokens.length > 0) {
          const last = lastTokens.get(answer)
          if (last === undefined) latencies.first.observe({ model_name }, (now - began) / 1000)
          else for (const _ of tokens) latencies.between.observe({ model_name }, (now - last) / 1000 / tokens.length)
          lastTokens.set(answer, now)
          counters.generated.inc({ model_name }, tokens.length)
        }
        if (finish === null) return
        latencies.whole.observe({ model_name }, (now - began) / 1000)
        end(finish)
      },
      ended(status) {
        // A refused request (400) has no answers: it is counted by its status alone.
        if (status < 500 && status !== CLIENT_GONE) return
        while (open > 0) end(status === CLIENT_GONE ? 'abort' : 'error')
      },
    }
  }

  /** Counts tokens that entered the encoder of a model that makes vectors. */
  embedded(model_name: string, tokens: number): void {
    this.counters.prompt.inc({ model_name }, tokens)
  }
}

/** Is told what happens to the answers of a request. */
export interface AnswerWatch {
  /** An input entered the encoder with so many tokens. */
  input(tokens: number): void
  /** A piece of an answer came. */
  piece(answer: string, piece: Pick<AnswerPiece, 'tokens' | 'finish'>): void
  /** The request has ended with this HTTP status: answers that have not ended by now never will. */
  ended(status: number): void
}
