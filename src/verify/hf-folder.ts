import { join } from 'node:path'
import { FileError } from '../base/errors.js'
import { castHost, hostTensor, toNumbers } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { readCheckpoint } from '../checkpoint/format.js'
import { openHfWeights } from '../checkpoint/names/hf-folder.js'
import { hfFamily, toHf } from '../checkpoint/names/hf.js'
import { safetensors } from '../checkpoint/safetensors.js'
import { readParameters } from '../checkpoint/weights.js'
import type { Tensor } from '../engine/api/tensor.js'
import { jit } from '../engine/api/jit.js'
import * as np from '../engine/api/np.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { stackRouters } from '../model/loss.js'
import { hfStackLosses } from '../model/router-losses.js'
import { declareParameters } from '../model/parameters.js'
import type { Batch, ModelParams } from '../model/types.js'
import { compareAll } from './compare.js'
import type { Row } from './compare.js'
import { expertMask } from './dispatch.js'
import { encode } from '../model/forward.js'
import { runPass } from './run.js'

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

/**
 * Runs an HF folder's model on the inputs of its `cases.safetensors` and compares every tensor there: logits, hidden
 * states, routing, losses, and the gradient of every parameter. `tested` replaces the folder's own model.
 */
export async function verifyFolder(folder: string, tolerance?: number, tested?: HfModel): Promise<Row[]> {
  const { model, router, params } = tested ?? (await loadHfFolder(folder))
  const path = join(folder, 'cases.safetensors')
  const cases = await readCheckpoint(safetensors, path)
  if (model.numDecoderLayers === 0) return verifyEncoder(params, cases, { model, router, path, tolerance })
  const batch = hfBatch(cases, path)

  const { output, loss, gradients } = runPass(params, batch, { config: model, router, mode: 'eval' })
  const actual = new Map<string, Tensor | HostTensor>([
    ['logits', output.logits],
    ['loss', loss],
    ['encoder_last_hidden_state', output.encoderOutput],
  ])
  for (const stack of ['encoder', 'decoder'] as const) {
    const [states, last] =
      stack === 'encoder' ? [output.encoderStates, output.encoderOutput] : [output.decoderStates, output.decoderOutput]
    ;[...states.slice(0, -1), last].forEach((x, i) => actual.set(`${stack}_hidden_states.${i}`, x))
    const { auxLoss, zLoss } = hfStackLosses(
      stackRouters(stack, output.routers, stack === 'encoder' ? model.numEncoderLayers : model.numDecoderLayers),
    )
    actual.set(`${stack}_aux_loss`, auxLoss).set(`${stack}_z_loss`, zLoss)
    const routers = output.routers.filter(r => r.stack === stack)
    for (const [i, { layer, record }] of routers.entries()) {
      actual.set(`${stack}_router_logits.${i}`, record.logits)
      actual.set(`dispatch_mask.${stack}.block.${layer}`, await expertMask(record))
    }
  }
  const family = hfFamily(cases.keys())
  for (const spec of declareParameters(model, router)) {
    const gradient = await gradients.get(spec.path)!.data()
    for (const [name, tensor] of toHf(spec, gradient, family)) actual.set(`grad.${name}`, tensor)
  }
  return compareAll(
    actual,
    [...cases].filter(([name]) => !inputNames.has(name)),
    tolerance,
  )
}

/** Compares the vectors of a model that is an encoder alone. */
function verifyEncoder(
  params: ModelParams,
  cases: ReadonlyMap<string, HostTensor>,
  { model, router, path, tolerance }: Pick<HfModel, 'model' | 'router'> & { path: string; tolerance?: number },
): Promise<Row[]> {
  const batch = { encoder_input_tokens: np.fromHost(recordedIds(cases, 'input_ids', path)) }
  const run = jit((p: ModelParams, b: typeof batch) => encode(p, b, { config: model, router, mode: 'eval' }).output)
  return compareAll(
    new Map([['encoder_last_hidden_state', run(params, batch)]]),
    [...cases].filter(([name]) => !inputNames.has(name)),
    tolerance,
  )
}

/** The token ids of a recorded input. `path` is for errors. */
function recordedIds(cases: ReadonlyMap<string, HostTensor>, name: string, path: string): HostTensor {
  const tensor = cases.get(name)
  if (!tensor) throw new FileError(`${path}: there is no tensor ${name}, which recorded cases need`)
  return castHost(tensor, 'int32')
}

const inputNames: ReadonlySet<string> = new Set(['input_ids', 'attention_mask', 'labels', 'decoder_input_ids'])

/** The batch that was recorded as HF's inputs: labels below 0 do not count. `path` is for errors. */
export function hfBatch(cases: ReadonlyMap<string, HostTensor>, path: string): Batch {
  const ids = (name: string): HostTensor => recordedIds(cases, name, path)
  const labels = ids('labels')
  const counts = toNumbers(labels).map(label => label >= 0)
  return {
    encoder_input_tokens: np.fromHost(ids('input_ids')),
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
