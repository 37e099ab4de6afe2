/** Checks of settings that need no data, made before the data is loaded: that can take long. */
import { finetuneConfig } from '../../config/finetune.js'
import type { FinetuneSource } from '../../config/finetune.js'
import { overrideNewRun, parseOverride } from '../../config/overrides.js'
import { recipes } from '../../config/recipes.js'
import type { UserValues } from '../../config/user-values.js'
import { makeTask } from '../../data/task.js'
import type { TaskCodec } from '../../data/task.js'
import type { RunConfig } from '../../train/config.js'
import { modelParts } from '../../train/model-parts.js'
import { makeSchedule } from '../../train/optimizers/schedules.js'
import { checkOptimizerState } from '../../train/restore/optimizer-state.js'
import type { TrainerValues } from '../../train/values.js'

/** Checks a configuration. Throws a ConfigError. */
export function checkSettings(config: RunConfig, values: Pick<TrainerValues, 'optimizer' | 'schedule'> = {}): void {
  modelParts(config, values)
  if (values.schedule === undefined) makeSchedule(config.train.schedule, config.train.steps)
}

/** Checks the overrides of a run whose sizes follow from its data. Such a run has the form of the recipe g2p. */
export function checkOverrides(overrides: readonly string[]): void {
  const config = overrideNewRun(recipes.g2p, overrides)
  // Without given steps, the data decides how many there are, and the schedule cannot be checked yet.
  if (overrides.some(text => parseOverride(text)[0] === 'train.steps')) checkSettings(config)
  else modelParts(config, {})
}

/** Checks the overrides of a fine-tuning run, with one example in the place of its data. */
export function checkFinetuneOverrides(
  source: FinetuneSource,
  codec: TaskCodec,
  overrides: readonly string[],
  known: UserValues,
): void {
  const train = [{ input: 'a', target: 'a', alternatives: [] }]
  const example = makeTask({ name: 'example', codec, splits: { train, validation: [], test: [] } })
  const config = finetuneConfig(source, example, overrides)
  modelParts(config, known.valuesOf(config))
  checkOptimizerState(config, source.run?.config)
}
