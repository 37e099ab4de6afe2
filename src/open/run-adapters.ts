import { ConfigError } from '../base/errors.js'
import type { Adapter } from '../checkpoint/names/peft-write.js'
import { declareParameters } from '../model/parameters.js'
import { adaptedKernels, adapterPaths } from '../train/trainable/adapters.js'
import type { OpenedWeights } from './open-weights.js'

/** The low-rank adapters of a run, with their configuration and the path or hub name of the weights they belong to. */
export interface RunAdapters {
  readonly adapters: readonly Adapter[]
  readonly rank: number
  readonly alpha: number
  readonly base: string
}

/** Reads the low-rank adapters of a run. Throws a ConfigError if the weights have none. */
export async function runAdapters({ path, model, router, run }: OpenedWeights): Promise<RunAdapters> {
  if (run === undefined || run.config.train.lora.rank === 0)
    throw new ConfigError(
      `${path}: there are no adapters here: only runs that were trained with train.lora.rank have them`,
    )
  const { params } = run.checkpoint
  const adapters: Adapter[] = []
  for (const spec of adaptedKernels(declareParameters(model, router), run.config.train.lora)) {
    const { a, b } = adapterPaths(spec.path)
    adapters.push({ spec, a: await params.read(a), b: await params.read(b) })
  }
  const { rank, alpha } = run.config.train.lora
  return { adapters, rank, alpha, base: run.config.from?.path ?? path }
}
