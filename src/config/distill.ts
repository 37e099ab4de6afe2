import { ConfigError } from '../base/errors.js'
import type { Task } from '../data/task.js'
import { declareParameters } from '../model/parameters.js'
import { baseRouter } from '../model/presets.js'
import { denseTwin } from '../model/surgery/dense-twin.js'
import type { RunConfig } from '../train/config.js'
import { distillDefaults } from '../train/distillation/config.js'
import type { WeightsTeacher } from '../train/distillation/config.js'
import { coveringPatterns } from '../train/restore/plan.js'
import type { RestoreRule } from '../train/restore/origin.js'
import { trainableDefaults } from '../train/trainable/config.js'
import { finetuneConfig } from './finetune.js'
import type { FinetuneSource } from './finetune.js'
import { overrideNewRun, parseOverride } from './overrides.js'

/** A model to distil, and the student's task. */
export interface DistillSource extends FinetuneSource {
  readonly teacher: WeightsTeacher
  /** Whether the task is that of the teacher's run. */
  readonly isOwnTask: boolean
}

/**
 * The configuration of a distillation as in Switch Transformers (section 4.2): the student is the dense model of the
 * teacher's sizes; it begins with the teacher's weights where it has the same parameters, and with new ones where the
 * teacher has experts; its loss is 0.75 of the cross entropy of the targets and 0.25 of that of the teacher's
 * probabilities. On the task of the teacher's run, it is trained with the settings of that run, and on another task
 * with those of fine-tuning. Overrides may make the student smaller. Throws a ConfigError if the student would be the
 * teacher.
 */
export function distillConfig(source: DistillSource, task: Task, overrides: readonly string[]): RunConfig {
  const { teacher, isOwnTask, run } = source
  const base = isOwnTask && run ? run.config : finetuneConfig(source, task, overrides.filter(isOfTraining))
  const config = overrideNewRun(
    {
      task: task.config ?? { kind: 'custom', name: task.name },
      model: denseTwin({ ...base.model, dtype: 'float32' }),
      // A dense model has no router, and its settings have no effect.
      router: baseRouter,
      train: { ...base.train, ...trainableDefaults },
      from: {
        path: teacher.path,
        container: source.container,
        step: run?.step ?? 0,
        optimizer: 'fresh',
        rules: [],
      },
      distill: { ...distillDefaults, teacher },
    },
    overrides,
  )
  if (overrides.some(override => parseOverride(override)[0] === 'from.rules')) return config
  const rules = rulesFor(config, source)
  if (rules.length === 0 && sameParameters(config, source))
    throw new ConfigError(
      `${source.path}: this model has no experts, so its dense twin is the model itself: make the student smaller, as in model.numEncoderLayers=${Math.max(1, Math.floor(source.model.numEncoderLayers / 2))}`,
    )
  return { ...config, from: { ...config.from!, rules } }
}

const isOfTraining = (override: string): boolean => override.startsWith('train.')

/** The rules by which parameters are new that the teacher does not have in the same shape. */
function rulesFor({ model, router }: RunConfig, teacher: FinetuneSource): RestoreRule[] {
  const shapes = new Map(declareParameters(teacher.model, teacher.router).map(s => [s.path, s.shape.join()]))
  const specs = declareParameters(model, router)
  const added = specs.filter(({ path, shape }) => shapes.get(path) !== shape.join()).map(({ path }) => path)
  const paths = specs.map(({ path }) => path)
  return coveringPatterns(added, paths).map(path => ({ path, from: null }))
}

const sameParameters = ({ model, router }: RunConfig, teacher: FinetuneSource): boolean =>
  declareParameters(model, router).length === declareParameters(teacher.model, teacher.router).length
