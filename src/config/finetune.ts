import type { Task } from '../data/task.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { baseRouter } from '../model/presets.js'
import { trainDefaults } from '../train/config.js'
import type { RunConfig, TrainConfig } from '../train/config.js'
import type { OptimizerConfig } from '../train/optimizers/optimizers.js'
import { overrideConfig, parseOverride } from './overrides.js'
import { optimizerSchema } from './schema.js'
import { sizesFor, someExamples } from './sizes.js'

/** The weights that a run begins with, as far as its configuration depends on them. */
export interface FinetuneSource {
  /** The path or the hub name as it was given. */
  readonly path: string
  readonly container: string
  readonly model: ModelConfig
  readonly router: RouterConfig
  /** The run that the weights are of. */
  readonly run?: { readonly config: RunConfig; readonly step: number }
}

/** A pretrained model needs fewer passes over the data than a new one. */
const passes = { batchTokens: 1024, epochs: 10, fewestSteps: 100, mostSteps: 2000 }
/** Published fine-tuning saves after every 2,000 steps, and raises the learning rate for the first 1,000. */
const longest = { checkpointEvery: 2000, warmupSteps: 1000 }
/** The share of activations that T5 and Switch drop in fine-tuning, in layers and in experts. */
const DROPOUT = 0.1

/**
 * The configuration of a fine-tuning run: the model of the weights; T5's published settings of fine-tuning (a constant
 * learning rate after a warm-up, dropout 0.1, also in experts); rows and steps as the data needs them; and overrides.
 * Adafactor has T5's rate, 1e-3, which is relative to the size of each parameter. For Adam, whose rate is not, that is
 * too high: its default is 3e-4, and 1e-3 for adapters (LoRA), which are new.
 */
export function finetuneConfig(source: FinetuneSource, task: Task, overrides: readonly string[]): RunConfig {
  const { examples, count } = someExamples(task)
  const sizes = sizesFor(examples, passes, count)
  const given = new Map(overrides.map(parseOverride))
  const steps = Number(given.get('train.steps') ?? sizes.steps)
  const config: RunConfig = {
    task: task.config ?? { kind: 'custom', name: task.name },
    model: modelSettings(source, given.get('model.reference')),
    router: routerSettings(source, given.get('model.reference')),
    train: {
      ...trainDefaults,
      ...sizes,
      ...optimizerSettings(source, given, Math.min(longest.warmupSteps, Math.ceil(steps / 10))),
      seed: 0,
      keep: 2,
      logEvery: 10,
      checkpointEvery: Math.min(longest.checkpointEvery, Math.max(100, Math.ceil(steps / 4))),
      evalExamples: 500,
    },
    from: {
      path: source.path,
      container: source.container,
      step: source.run?.step ?? 0,
      optimizer: 'fresh',
      rules: [],
    },
    distill: null,
  }
  return overrideConfig(config, overrides)
}

/**
 * The model of the weights, trained in float32. It follows our own meaning, as in inference, unless its run did not.
 */
const modelSettings = ({ model, run }: FinetuneSource, reference: string | undefined): ModelConfig => ({
  ...model,
  dtype: 'float32',
  dropoutRate: DROPOUT,
  reference: run === undefined && reference === undefined ? 'switchyard' : model.reference,
})

/**
 * The router of the weights. Hugging Face's configurations have settings of their own for the same released weights;
 * those of the original training take their place, unless transformers' meaning is asked for.
 */
function routerSettings({ router, container }: FinetuneSource, reference: string | undefined): RouterConfig {
  const isOwn = container === 'huggingface' && reference !== 'hf'
  return { ...(isOwn ? { ...baseRouter, bias: router.bias } : router), expertDropoutRate: DROPOUT }
}

/**
 * The settings of a fine-tuned model that `finetuneConfig` chooses, and does not take from the weights: see
 * `modelSettings` and `routerSettings`.
 */
export function chosenByFinetune({ model, router, from }: RunConfig): ReadonlySet<string> {
  if (from === null) return new Set()
  const isRun = from.step > 0
  const isOwnRouter = from.container === 'huggingface' && model.reference !== 'hf'
  return new Set([
    'model.dtype',
    'model.dropoutRate',
    ...(isRun ? [] : ['model.reference']),
    'router.expertDropoutRate',
    ...(isOwnRouter ? Object.keys(router).map(key => `router.${key}`) : []).filter(path => path !== 'router.bias'),
    'from.optimizer',
    'from.rules',
  ])
}

/**
 * The optimizer, and what goes with it: by default Adafactor without clipping by the norm, as T5. Adapters begin as
 * zeros, and Adafactor's updates are relative to that size: they are trained by Adam.
 */
function optimizerSettings(
  { run }: FinetuneSource,
  given: ReadonlyMap<string, string>,
  warmupSteps: number,
): Pick<TrainConfig, 'optimizer' | 'clipNorm' | 'schedule'> {
  const isLora = Number(given.get('train.lora.rank') ?? 0) > 0
  const kind = given.get('train.optimizer.kind') ?? (isLora ? 'adamW' : 'adafactor')
  const peak = kind === 'adamW' && !isLora ? 3e-4 : 1e-3
  const schedule = { kind: 'constant', peak, warmupSteps } as const
  if (given.get('from.optimizer') === 'restored' && run !== undefined) {
    const { optimizer, clipNorm } = run.config.train
    return { optimizer, clipNorm, schedule }
  }
  const isAdam = kind === 'adamW'
  const optimizer: OptimizerConfig = optimizerSchema.parse({ kind: isAdam ? 'adamW' : 'adafactor' })
  return { optimizer, clipNorm: isAdam ? 1 : null, schedule }
}
