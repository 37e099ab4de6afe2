import { join } from 'node:path'
import { FileError } from '../base/errors.js'
import { castHost, hostTensor, toNumbers } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { exists } from '../checkpoint/atomic.js'
import { readCheckpoint } from '../checkpoint/format.js'
import { openHfWeights } from '../checkpoint/names/hf-folder.js'
import { safetensors } from '../checkpoint/safetensors.js'
import { readParameters } from '../checkpoint/weights.js'
import * as np from '../engine/api/np.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { EncoderBatch } from '../model/masks.js'
import type { Batch, ModelParams } from '../model/types.js'
import { compareAll } from './compare.js'
import type { Row } from './compare.js'
import { encoderTensors, gradientTensors, passTensors } from './hf-tensors.js'
import type { Computed } from './hf-tensors.js'
import { runEncoder, runPass } from './run.js'

/** A loaded Hugging Face folder: config.json and weights. */
export interface HfModel {
  model: ModelConfig
  router: RouterConfig
  params: ModelParams
}

export async function loadHfFolder(folder: string): Promise<HfModel> {
  const weights = await openHfWeights(folder)
  try {
    return { model: weights.model, router: weights.router, params: await readParameters(weights, 'float32') }
  } finally {
    await weights.close()
  }
}

/** Tensors of a case that are not compared. `output_gradient` is that of the encoder's output. */
const inputNames: ReadonlySet<string> = new Set([
  'input_ids',
  'attention_mask',
  'labels',
  'decoder_input_ids',
  'output_gradient',
])

export interface VerifyFolderOptions {
  /** The largest relative difference that is ok. Default: that of `compare`. */
  readonly tolerance?: number
  /** The model to test. Default: the folder's own. */
  readonly tested?: HfModel
  /** Whether gradients are computed and compared. Default: true. */
  readonly withGradients?: boolean
}

/**
 * Runs a model on the inputs of an HF folder's `cases.safetensors` and compares every tensor there: logits, hidden
 * states, routing, losses, and the gradient of every parameter.
 */
export async function verifyFolder(
  folder: string,
  { tolerance, tested, withGradients = true }: VerifyFolderOptions = {},
): Promise<Row[]> {
  const path = join(folder, 'cases.safetensors')
  if (!(await exists(path)))
    throw new FileError(`${folder}: there is no cases.safetensors, the recorded values to compare with`)
  const cases = await readCheckpoint(safetensors, path)
  const isGradient = (name: string): boolean => name.startsWith('grad.')
  const expected = [...cases].filter(([name]) => !inputNames.has(name) && (withGradients || !isGradient(name)))
  if (expected.length === 0) throw new FileError(`${path}: there are inputs, and no recorded values to compare with`)
  const hasGradients = expected.some(([name]) => isGradient(name))
  const actual = await computed(tested ?? (await loadHfFolder(folder)), cases, hasGradients, path)
  return compareAll(actual, expected, tolerance)
}

/** Everything that a case may have recorded, computed from its inputs. `path` is for errors. */
async function computed(
  { model, router, params }: HfModel,
  cases: ReadonlyMap<string, HostTensor>,
  hasGradients: boolean,
  path: string,
): Promise<Computed> {
  const options = { config: model, router, mode: 'eval' } as const
  if (model.numDecoderLayers === 0) {
    const direction = hasGradients ? cases.get('output_gradient') : undefined
    const { output, gradients } = runEncoder(
      params,
      encoderBatch(cases, path),
      options,
      direction && np.fromHost(direction),
    )
    return new Map([
      ...(await encoderTensors(output, model)),
      ...(await gradientTensors(gradients, model, router, params, cases.keys())),
    ])
  }
  const { output, loss, gradients } = runPass(params, hfBatch(cases, path), options, hasGradients)
  return new Map([
    ['loss', loss],
    ...(await passTensors(output, model)),
    ...(await gradientTensors(gradients, model, router, params, cases.keys())),
  ])
}

/** The token ids of a recorded input. `path` is for errors. */
function recordedIds(cases: ReadonlyMap<string, HostTensor>, name: string, path: string): HostTensor {
  const tensor = cases.get(name)
  if (!tensor) throw new FileError(`${path}: there is no tensor ${name}, which recorded cases need`)
  return castHost(tensor, 'int32')
}

/** The inputs of an encoder. A recorded attention_mask decides what is hidden, whatever the ids are. */
function encoderBatch(cases: ReadonlyMap<string, HostTensor>, path: string): EncoderBatch {
  const mask = cases.get('attention_mask')
  return {
    encoder_input_tokens: np.fromHost(recordedIds(cases, 'input_ids', path)),
    ...(mask && { encoder_mask: np.notEqual(np.fromHost(castHost(mask, 'int32')), 0) }),
  }
}

/** The batch that was recorded as HF's inputs: labels below 0 do not count. `path` is for errors. */
export function hfBatch(cases: ReadonlyMap<string, HostTensor>, path: string): Batch {
  const ids = (name: string): HostTensor => recordedIds(cases, name, path)
  const labels = ids('labels')
  const counts = toNumbers(labels).map(label => label >= 0)
  return {
    ...encoderBatch(cases, path),
    decoder_input_tokens: np.fromHost(ids('decoder_input_ids')),
    decoder_target_tokens: np.fromHost(
      hostTensor(
        'int32',
        labels.shape,
        Int32Array.from(toNumbers(labels), label => Math.max(label, 0)),
      ),
    ),
    decoder_loss_weights: np.fromHost(hostTensor('float32', labels.shape, Float32Array.from(counts, Number))),
  }
}
