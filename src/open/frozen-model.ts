import { resolve } from 'node:path'
import { FileError } from '../base/errors.js'
import { castHost } from '../base/host-tensor.js'
import { treeFromPaths } from '../base/pytree.js'
import { exists } from '../checkpoint/atomic.js'
import { tensorChecksum, textChecksum } from '../checkpoint/checksum.js'
import { fromHost } from '../engine/api/tensor.js'
import type { Tensor } from '../engine/api/tensor.js'
import { requireTextHead } from '../checkpoint/weights.js'
import type { Weights } from '../checkpoint/weights.js'
import * as np from '../engine/api/np.js'
import { specialIdsOf } from '../model/config.js'
import { forward } from '../model/forward.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { countParameters } from '../model/parameters.js'
import type { Batch, ModelParams } from '../model/types.js'
import type { CheckpointChoice } from '../train/choose-checkpoint.js'
import type { WeightsTeacher } from '../train/distillation/config.js'
import type { Teacher } from '../train/distillation/teacher.js'
import type { CustomModelValues } from '../train/loss.js'
import { openWeights } from './open-weights.js'
import type { OpenedWeights } from './open-weights.js'

/** A model whose weights are read once, in float32, and never changed: a teacher, or a model to compare with. */
export interface FrozenModel {
  /** The folder of the weights; of a run, of one of its checkpoints. */
  readonly path: string
  readonly params: ModelParams
  /** The settings with which it computes what `infer` does: it drops no token. */
  readonly model: ModelConfig
  readonly router: RouterConfig
  /** The custom router and meaning, if it has some. */
  readonly values: CustomModelValues
  readonly numParameters: number
  /** A checksum of all weights, as they are read. */
  readonly fingerprint: string
}

export interface FrozenOptions {
  /** Finds the model's custom router and meaning by their names, if it has some. */
  findValues?: (config: Pick<Weights, 'model' | 'router'>) => Promise<CustomModelValues>
}

export interface TeacherOptions extends FrozenOptions {
  /** Which checkpoint of a run. Default: the best. */
  checkpoint?: CheckpointChoice
  /** Receives messages for a person: which checkpoint is opened. */
  onNotice?: (message: string) => void
}

/** Reads a model that is to stay as it is. The weights may be closed afterwards. */
export async function readFrozen(weights: OpenedWeights, { findValues }: FrozenOptions = {}): Promise<FrozenModel> {
  requireTextHead(weights)
  const { model, router, specs } = weights
  const entries: [string, Tensor][] = []
  const checksums: string[] = []
  for (const spec of specs) {
    const tensor = await weights.read(spec.path)
    checksums.push(`${spec.path} ${tensorChecksum(tensor)}\n`)
    entries.push([spec.path, fromHost(castHost(tensor, 'float32'))])
  }
  return {
    path: resolve(weights.path),
    params: treeFromPaths(entries) as unknown as ModelParams,
    model: { ...model, reference: 'switchyard', dtype: 'float32' },
    router,
    values: (await findValues?.(weights)) ?? {},
    numParameters: countParameters(specs),
    fingerprint: textChecksum(checksums.join('')),
  }
}

/** A frozen model as a teacher. Its probabilities are those of inference: without dropout, and no token is dropped. */
export function teacherOf({
  path,
  fingerprint,
  params,
  model,
  router,
  values,
  numParameters,
}: FrozenModel): Teacher & { readonly config: WeightsTeacher } {
  return {
    name: path,
    config: { kind: 'weights', path, fingerprint },
    bytes: 4 * numParameters,
    logits: batch => {
      const options = { config: model, router, customRouter: values.router, meaning: values.meaning } as const
      const own = startingFrom(batch, specialIdsOf(model).decoderStartId)
      return forward(params, own, { ...options, mode: 'eval' }).logits
    },
  }
}

/** A batch in which the decoder starts each target from `id`: a student's batch starts from the student's own id. */
function startingFrom(batch: Batch, id: number): Batch {
  const { decoder_input_tokens: inputs, decoder_segment_ids: segments = np.onesLike(inputs) } = batch
  const none = np.zeros([segments.shape[0], 1], 'int32') // [batch, 1]
  const before = np.concatenate([none, segments.get(':', np.slice(0, -1))], 1) // [batch, length]
  return { ...batch, decoder_input_tokens: np.where(np.notEqual(segments, before), id, inputs) }
}

/**
 * Opens the teacher that a run's configuration names. Throws a FileError if it is gone, and if its weights are not
 * those that the run began with.
 */
export async function openFrozen({ path, fingerprint }: WeightsTeacher, options?: FrozenOptions): Promise<FrozenModel> {
  if (!(await exists(path)))
    throw new FileError(
      `${path}: the teacher of this run is not there any more: put its folder back, or begin a new run with distill`,
    )
  const weights = await openWeights(path)
  try {
    const opened = await readFrozen(weights, options)
    if (opened.fingerprint !== fingerprint)
      throw new FileError(
        `${path}: these are not the weights that the run learns from (their fingerprint is ${opened.fingerprint}, and that of its teacher ${fingerprint}): put the teacher back, or begin a new run with distill`,
      )
    return opened
  } finally {
    await weights.close()
  }
}

/**
 * Opens a teacher for `TrainerValues.teacher`: the weights at a path (of any format that `openWeights` knows; of a run,
 * the best checkpoint by default), or the teacher that a run's configuration names.
 */
export async function openTeacher(
  source: string | WeightsTeacher,
  { checkpoint, onNotice, ...options }: TeacherOptions = {},
): Promise<Teacher> {
  if (typeof source !== 'string') return teacherOf(await openFrozen(source, options))
  const weights = await openWeights(source, { choice: checkpoint, onNotice })
  try {
    return teacherOf(await readFrozen(weights, options))
  } finally {
    await weights.close()
  }
}
