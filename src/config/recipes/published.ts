/**
 * How the released T5 and Switch models were pretrained and are fine-tuned, as values to begin a run of your own from:
 * `defineConfig({ recipes: { mine: { base: pretraining('switch-base-8'), task: myTask } } })`. docs/recipes.md has the
 * values and their sources as a table.
 */
import { preset } from '../../model/presets.js'
import { trainDefaults } from '../../train/config.js'
import type { RunConfig, TrainConfig } from '../../train/config.js'

/** Where a published value is from. */
export interface PublishedSource {
  readonly path: string
  readonly source: string
}

/** The task that a published recipe waits for: the text or the examples are yours. */
const yours = { kind: 'custom', name: 'yours' } as const

const optimizer = {
  kind: 'adafactor',
  decayRate: 0.8,
  stepOffset: 0,
  clippingThreshold: 1,
  epsilon1: 1e-30,
  epsilon2: 1e-3,
  minSizeToFactor: 128,
} as const

const shared = {
  ...trainDefaults,
  seed: 0,
  optimizer,
  clipNorm: null,
  zLoss: 1e-4,
  logEvery: 100,
  evalExamples: null,
} satisfies Partial<TrainConfig>

/** The configuration with which the released model of a preset was pretrained, by span corruption of English text. */
export function pretraining(name: string): RunConfig {
  const { model, router } = preset(name)
  return {
    task: yours,
    model: { ...model, dropoutRate: 0 },
    router: { ...router, expertDropoutRate: 0 },
    train: {
      ...shared,
      steps: 1_000_000,
      rows: 256,
      inputLength: 512,
      targetLength: 114,
      schedule: { kind: 'inverseSquareRoot', scale: 1, decayFrom: 10_000, warmupSteps: 0 },
      checkpointEvery: 5000,
      keep: 20,
    },
    from: null,
    distill: null,
  }
}

/** The configuration with which a model of a preset is fine-tuned on a task, as published. */
export function fineTuning(name: string): RunConfig {
  const { model, router } = preset(name)
  return {
    task: yours,
    model: { ...model, dropoutRate: 0.1 },
    router: { ...router, expertDropoutRate: 0.1 },
    train: {
      ...shared,
      steps: 20_000,
      rows: 128,
      inputLength: 512,
      targetLength: 114,
      schedule: { kind: 'constant', peak: 1e-3, warmupSteps: 1000 },
      checkpointEvery: 2000,
      keep: 20,
    },
    from: null,
    distill: null,
  }
}

const t5xGin = "T5X's and Flaxformer's gin files"
const exampleGin = "T5X's examples (pretrain.gin and the models' c4_pretrain.gin)"
const adafactor = "T5X's Adafactor, whose decay 0.8 and offset 0 the gin files give"
const ours = 'ours: not published, or free to choose'

/** The sources of the values above that are not those of the model's preset. A path stands for those below it. */
const publishedSources: readonly PublishedSource[] = [
  { path: 'task', source: 'yours' },
  { path: 'model.dropoutRate', source: t5xGin },
  { path: 'router.expertDropoutRate', source: `${t5xGin}: the same as dropout` },
  { path: 'model', source: `preset: ${t5xGin}` },
  { path: 'router', source: `preset: ${t5xGin}` },
  { path: 'train.steps', source: 'T5 1.1: 1,000,000 steps of pretraining; fine-tuning: ours, it depends on the data' },
  { path: 'train.rows', source: `pretraining: ${exampleGin}; fine-tuning: ours` },
  { path: 'train.inputLength', source: exampleGin },
  { path: 'train.targetLength', source: exampleGin },
  { path: 'train.optimizer', source: adafactor },
  { path: 'train.schedule', source: t5xGin },
  { path: 'train.zLoss', source: t5xGin },
  { path: 'train.labelSmoothing', source: t5xGin },
  { path: 'train.clipNorm', source: 'Adafactor clips each update by itself' },
  { path: 'train.checkpointEvery', source: t5xGin },
  { path: 'train.keep', source: t5xGin },
  { path: 'train', source: ours },
  { path: 'from', source: 'yours' },
]

/** The source of a setting of a published recipe. */
export const publishedSource = (path: string): string =>
  publishedSources.find(entry => path === entry.path || path.startsWith(`${entry.path}.`))?.source ?? ours

/** The configuration that a name such as `switch-base-8/pretraining` stands for; undefined for other names. */
export function publishedRecipe(name: string): RunConfig | undefined {
  const [of, kind, ...rest] = name.split('/')
  if (rest.length > 0 || (kind !== 'pretraining' && kind !== 'fine-tuning')) return undefined
  return kind === 'pretraining' ? pretraining(of) : fineTuning(of)
}
