import { FileError } from '../base/errors.js'
import type { HostTensor } from '../base/host-tensor.js'
import { readCheckpoint, readTensors } from '../checkpoint/format.js'
import { safetensors } from '../checkpoint/safetensors.js'
import type { Tensor } from '../engine/api/tensor.js'
import * as np from '../engine/api/np.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { configFromT5x } from '../checkpoint/names/t5x-config.js'
import { t5xParameters } from '../checkpoint/names/t5x.js'
import type { Batch } from '../model/types.js'
import { compareAll } from './compare.js'
import type { Row } from './compare.js'
import { dispatchArrays } from './dispatch.js'
import { paramsFromHost, runPass } from './run.js'
import type { PassResult } from './run.js'

export interface T5xCase {
  /** A safetensors file of parameters under T5X's paths; scanned layers may be stacked. */
  params: string
  /**
   * A safetensors file with a batch (`batch/<feature>`) and the tensors that T5X computed from it, under `eval/` and
   * `train/`.
   */
  cases: string
  /** Settings that differ from those that `configFromT5x` assumes. */
  model?: Partial<ModelConfig>
  router?: Partial<RouterConfig>
  tolerance?: number
}

/**
 * Runs a T5X model and compares every tensor of the case: logits, layers' outputs, dispatch, losses, metrics,
 * gradients.
 */
export async function verifyT5x({ params, cases, model = {}, router = {}, tolerance }: T5xCase): Promise<Row[]> {
  const tensors = await readParams(params)
  const derived = configFromT5x(
    [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    params,
  )
  const expected = await readCheckpoint(safetensors, cases)
  const batch = t5xBatch(expected, cases)
  const rows: Row[] = []
  for (const mode of ['eval', 'train'] as const) {
    const ofMode = new Map(
      [...expected].flatMap(([name, tensor]): [string, HostTensor][] => {
        const compared = name.startsWith(`${mode}/`) && !name.startsWith(`${mode}/metric/timing/`)
        return compared ? [[name.slice(mode.length + 1), tensor]] : []
      }),
    )
    if (ofMode.size === 0) continue
    const options = { config: { ...derived.model, ...model }, router: { ...derived.router, ...router }, mode }
    const actual = await t5xNames(runPass(paramsFromHost(tensors), batch, options), ofMode)
    rows.push(
      ...(await compareAll(actual, ofMode, tolerance)).map(row => ({ ...row, tensor: `${mode}/${row.tensor}` })),
    )
  }
  return rows
}

async function readParams(path: string): Promise<Map<string, HostTensor>> {
  const file = await safetensors.open(path)
  try {
    return await readTensors(t5xParameters(file, ''))
  } finally {
    await file.close()
  }
}

function t5xBatch(cases: ReadonlyMap<string, HostTensor>, path: string): Batch {
  const batch = Object.fromEntries(
    [...cases]
      .filter(([name]) => name.startsWith('batch/'))
      .map(([name, tensor]) => [name.slice(6), np.fromHost(tensor)]),
  )
  for (const name of [
    'encoder_input_tokens',
    'decoder_input_tokens',
    'decoder_target_tokens',
    'decoder_loss_weights',
  ]) {
    if (!(name in batch)) throw new FileError(`${path}: there is no tensor batch/${name}`)
  }
  return batch as unknown as Batch
}

/** The tensors of a pass by T5X's names. Dispatch masks get the capacity of the expected masks. */
async function t5xNames(
  { output, loss, metrics, gradients }: PassResult,
  expected: ReadonlyMap<string, HostTensor>,
): Promise<Map<string, Tensor | HostTensor>> {
  const { logits, encoderOutput, encoderStates, decoderStates, routers } = output
  const numTargets = logits.shape[0] * logits.shape[1]
  const perTarget = (x: Tensor): Tensor => np.divide(x, numTargets)
  const { crossEntropy, zLoss, accuracy, targetTokens } = metrics
  const named = new Map<string, Tensor | HostTensor>([
    ['logits', logits],
    ['total_loss', loss],
    ['encoder/output', encoderOutput],
    ['metric/loss', loss],
    ['metric/loss_per_all_target_tokens', perTarget(loss)],
    ['metric/loss_per_nonpadding_target_token', np.divide(loss, targetTokens)],
    ['metric/cross_ent_loss', crossEntropy],
    ['metric/cross_ent_loss_per_all_target_tokens', perTarget(crossEntropy)],
    ['metric/z_loss', zLoss],
    ['metric/z_loss_per_all_target_tokens', perTarget(zLoss)],
    ['metric/accuracy', accuracy],
    ['metric/non_padding_fraction/loss_weights', perTarget(targetTokens)],
    ['metric/experts/auxiliary_loss', metrics.auxLoss],
    ['metric/experts/router_z_loss', metrics.routerZLoss],
    ['metric/experts/fraction_tokens_left_behind', metrics.shareDropped],
    ['metric/experts/router_confidence', metrics.routerConfidence],
    ['metric/experts/expert_usage', metrics.expertUsage],
  ])
  encoderStates.slice(1).forEach((x, i) => named.set(`encoder/layers_${i}/output`, x))
  decoderStates.slice(1).forEach((x, i) => named.set(`decoder/layers_${i}/output`, x))
  for (const { stack, layer, record } of routers) {
    const at = `${stack}/layers_${layer}/mlp`
    named.set(`${at}/output`, record.output)
    named.set(`${at}/auxiliary_loss`, record.auxLoss)
    named.set(`${at}/router_z_loss`, record.zLoss)
    named.set(`${at}/fraction_tokens_left_behind`, record.statistics.shareDropped)
    named.set(`${at}/router_confidence`, record.statistics.confidence)
    named.set(`${at}/expert_usage`, record.statistics.expertUsage)
    const mask = expected.get(`${at}/router/dispatch_mask`)
    if (!mask) continue
    const arrays = await dispatchArrays(record, mask.shape[3])
    named.set(`${at}/router/dispatch_mask`, arrays.mask)
    named.set(`${at}/router/combine_array`, arrays.combine)
  }
  for (const [path, gradient] of gradients) named.set(`grad/${path}`, gradient)
  return named
}
