import { specialIdsOf } from '../model/config.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { Meaning } from '../model/meaning.js'
import type { ModelParams } from '../model/types.js'
import type { Router } from '../nn/moe/router.js'
import { AnswerQueue } from './answer-queue.js'
import { UNLIMITED } from './limits.js'
import { withoutPadding } from './padded-inputs.js'
import { Scheduler } from './scheduler.js'
import { greedySearch } from './search.js'
import type { Answer, Search } from './search.js'

export interface GenerateOptions {
  config: ModelConfig
  router: RouterConfig
  /** A router to use instead of the one that `router` names. */
  customRouter?: Router
  /** A meaning to follow instead of the one that `config.reference` names. */
  meaning?: Meaning
  /** The most tokens an answer has, EOS included. */
  maxNewTokens: number
  /**
   * If true, the generator takes the parameters over: it packs them for matmuls and releases the originals, so that
   * memory holds them once. They cannot be used for anything else afterwards.
   */
  release?: boolean
}

/** Options of one call of a generator. */
export interface BatchOptions {
  /** Ends generation. The answers are those that the searches have when it is aborted. */
  signal?: AbortSignal
  /** Called after every step of each search. */
  onStep?: () => void
}

/**
 * Generates answers to a batch of inputs. `inputs[i]` holds token ids, EOS included; `searches[i]`
 * chooses the tokens of its answers. Resolves to the answers of each input.
 */
export type Generator = (
  params: ModelParams,
  inputs: readonly (readonly number[])[],
  searches: readonly Search[],
  options?: BatchOptions,
) => Promise<(readonly Answer[])[]>

/**
 * Makes a generator for a model: see `Scheduler`. Keep it for later calls, because it is compiled by the first one. An
 * input's answers depend neither on the other inputs nor on padding.
 */
export function makeGenerator({
  config,
  router,
  customRouter,
  meaning,
  maxNewTokens,
  release = false,
}: GenerateOptions): Generator {
  const queues = new WeakMap<ModelParams, AnswerQueue>()
  const queueOf = (params: ModelParams): AnswerQueue => {
    const found = queues.get(params)
    if (found) return found
    const forward = { config, router, customRouter, meaning, mode: 'eval' } as const
    const queue = new AnswerQueue(new Scheduler(params, forward, { ...UNLIMITED, maxNewTokens, release }))
    queues.set(params, queue)
    return queue
  }
  return async (params, inputs, searches, { signal, onStep } = {}) => {
    const queue = queueOf(params)
    try {
      await Promise.all(
        inputs.map((ids, i) => queue.run(withoutPadding(ids, specialIdsOf(config)), searches[i], { signal, onStep })),
      )
    } catch (error) {
      if (!signal?.aborted || error !== signal.reason) throw error
    }
    return searches.map(search => search.answers())
  }
}

/** Generates greedily in one call; resolves to the tokens of each answer. For several calls, keep a `makeGenerator`. */
export async function generate(
  params: ModelParams,
  inputs: readonly (readonly number[])[],
  options: GenerateOptions,
): Promise<(readonly number[])[]> {
  const answers = await makeGenerator(options)(
    params,
    inputs,
    inputs.map(() => greedySearch({ ...options, specialIds: specialIdsOf(options.config) })),
  )
  return answers.map(([{ tokens }]) => tokens)
}
