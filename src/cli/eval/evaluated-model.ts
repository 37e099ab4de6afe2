import { ConfigError } from '../../base/errors.js'
import { readInfo } from '../../checkpoint/checkpoint-info.js'
import { native } from '../../checkpoint/native.js'
import type { UserValues } from '../../config/user-values.js'
import type { SplitName } from '../../data/example.js'
import { readCodec, savedName } from '../../data/task.js'
import type { Task } from '../../data/task.js'
import type { TextModel } from '../../infer/text-generator.js'
import { loadWithPaging } from '../../infer/load.js'
import { openModel } from '../../open/open-model.js'
import { openWeights } from '../../open/open-weights.js'
import { openTextModel, pagingOf } from '../../open/text-model.js'
import { isRun } from '../../train/checkpointing.js'
import type { CheckpointChoice } from '../../train/choose-checkpoint.js'
import { trainedTextModel } from '../../train/evaluate.js'
import { lossOf } from '../shared/held-out.js'
import type { PagingOptions } from '../shared/paging-options.js'
import { findModelValues } from '../shared/model-values.js'

/** A model that is evaluated on a task. */
export interface EvaluatedModel {
  readonly folder: string
  /** The step of a run's checkpoint. */
  readonly step?: number
  readonly task: Task
  readonly model: TextModel
  /** The loss on a split of a task without answers. Undefined for weights alone, or if no example fits a row. */
  lossOf(task: Task, split: SplitName): Promise<string | undefined>
}

export interface OpenForEvaluation extends PagingOptions {
  readonly checkpoint?: CheckpointChoice
  readonly values: UserValues
}

const onNotice = (message: string): void => console.error(message)

/**
 * Opens a run or one of its checkpoints, or weights of our own format that were written alone: those are evaluated as
 * they are stored, quantized too, on the task whose name their vocabulary was saved with. `known` is the task, if it is
 * loaded already.
 */
export async function openForEvaluation(path: string, given: OpenForEvaluation, known?: Task): Promise<EvaluatedModel> {
  const saved = await weightsAlone(path)
  if (saved !== undefined) return openAlone(path, saved.task, given)
  if (given.expertsMemory !== undefined) {
    const paged = await openPaged(path, given, known)
    if (paged) return paged
  }
  const { values, checkpoint } = given
  const { folder, params, config, codec, step } = await openModel(path, { choice: checkpoint, onNotice })
  const task = known ?? (await values.loadTask(config.task, codec))
  const custom = values.modelValuesOf(config)
  return {
    folder,
    step,
    task,
    model: { ...trainedTextModel(params, config, task.codec, custom), onNotice },
    lossOf: (leaf, split) => lossOf(params, config, leaf, split, custom),
  }
}

/** Opens a run whose experts are read when tokens meet them; undefined if the path is no run. */
async function openPaged(
  path: string,
  { values, checkpoint, expertsMemory, pins }: OpenForEvaluation,
  known?: Task,
): Promise<EvaluatedModel | undefined> {
  const weights = await openWeights(path, { choice: checkpoint, onNotice })
  const { run } = weights
  try {
    if (run === undefined) {
      await weights.close()
      return undefined
    }
    const { config } = run
    const task = known ?? (await values.loadTask(config.task, readCodec(run.checkpoint.task)))
    const custom = values.modelValuesOf(config)
    const paging = await pagingOf(weights, { expertsMemory, pins }, onNotice)
    const { params, experts } = await loadWithPaging(weights, null, paging)
    return {
      folder: weights.path,
      step: run.checkpoint.step,
      task,
      model: {
        ...trainedTextModel(params, config, task.codec, custom),
        experts,
        onNotice,
        close: async () => {
          await experts?.close()
          await weights.close()
        },
      },
      lossOf: (leaf, split) => lossOf(params, config, leaf, split, custom),
    }
  } catch (error) {
    await weights.close()
    throw error
  }
}

/** What a checkpoint of weights alone has saved; undefined for a run and its checkpoints. */
async function weightsAlone(path: string): Promise<{ task: unknown } | undefined> {
  if (!(await native.detect(path))) return undefined
  const { info } = await readInfo(path)
  return isRun(info) ? undefined : { task: info.task }
}

async function openAlone(
  path: string,
  saved: unknown,
  { values, expertsMemory, pins }: OpenForEvaluation,
): Promise<EvaluatedModel> {
  const name = savedName(saved)
  if (name === undefined || !values.taskNames.includes(name))
    throw new ConfigError(
      `${path}: this checkpoint holds a model's weights without the run's task and settings; give --data with examples to evaluate it on`,
    )
  onNotice(`${path}: these weights have no settings of a run: they are evaluated on the task that they name, ${name}`)
  const task = await values.taskNamed(name, readCodec(saved))
  const model = await openTextModel(path, { findValues: findModelValues, onNotice, expertsMemory, pins })
  return { folder: path, task, model, lossOf: () => Promise.resolve(undefined) }
}
