import { leafTasks } from '../../data/mixture.js'
import type { SplitName } from '../../data/example.js'
import type { Task } from '../../data/task.js'
import { formatPercent } from '../../metrics/metric.js'
import type { ModelParams } from '../../model/types.js'
import type { RunConfig } from '../../train/config.js'
import { evaluate } from '../../train/evaluate.js'
import type { CustomModelValues } from '../../train/loss.js'
import { onOneDevice, Validator } from '../../train/validation.js'
import type { TrainerValues } from '../../train/values.js'
import { watchPredictions } from './progress.js'
import { countExamples, formatSamples, formatScores } from './report.js'

/** The custom values of a run that its model needs for inference as well. */
export const customModel = ({ router, meaning }: TrainerValues = {}): CustomModelValues => ({ router, meaning })

/**
 * Evaluates a trained model on held-out examples, on each task of a mixture by itself, and prints answers and figures.
 * A task without answers is reported by its loss. Resolves to whether there was anything to evaluate on.
 */
export async function reportHeldOut(
  params: ModelParams,
  config: RunConfig,
  task: Task,
  values: CustomModelValues,
): Promise<boolean> {
  let found = false
  for (const leaf of leafTasks(task)) {
    const heading = `\n${task.members ? `${leaf.name}, ` : ''}held-out ${leaf.units.many}`
    const heldOut = leaf.split('test').length
    if (heldOut > 0) {
      // The time left of training has come to its end, and this takes time as well.
      const asked = Math.min(heldOut, config.train.evalExamples ?? heldOut)
      console.log(`\nanswering ${countExamples(asked, leaf, 'held-out ')}`)
      const result = await watchPredictions(leaf.units.many, onProgress =>
        evaluate(params, config, leaf, { ...values, split: 'test', limit: config.train.evalExamples, onProgress }),
      )
      console.log(`${heading}:\n\n${formatSamples(result, 12)}\n\n${formatScores(result, leaf)}`)
      found = true
    } else {
      const figures = await lossOf(params, config, leaf, 'test', values, () =>
        console.log(`\nmeasuring the loss on held-out ${leaf.units.many}`),
      )
      if (figures !== undefined) console.log(`${heading}: ${figures}`)
      found ||= figures !== undefined
    }
  }
  return found
}

/** The loss on a split's token examples, as text; undefined if no example fits a row. `onStart` is called otherwise. */
export async function lossOf(
  params: ModelParams,
  config: RunConfig,
  task: Task,
  split: SplitName,
  values: CustomModelValues,
  onStart: () => void = () => undefined,
): Promise<string | undefined> {
  const train = { ...config.train, validateExamples: config.train.evalExamples }
  const validator = new Validator({ ...config, train }, task, values, split)
  if (!validator.hasExamples) return undefined
  onStart()
  const { loss, accuracy, examples } = await validator.targetFigures(onOneDevice(params))
  return `loss ${loss.toFixed(4)}, tokens right ${formatPercent(accuracy)}, on ${countExamples(examples, task)}`
}
