/** The tensors of a pass under the names that recorded Hugging Face cases have for them. */
import { hostTensor } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { hfFamily, toHf } from '../checkpoint/names/hf.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { ModelConfig, RouterConfig, StackName } from '../model/config.js'
import type { StackOutput } from '../model/forward.js'
import { stackRouters } from '../model/loss.js'
import { declareParameters } from '../model/parameters.js'
import type { ParameterSpec } from '../model/parameters.js'
import { hfStackLosses } from '../model/router-losses.js'
import type { ForwardOutput } from '../model/types.js'
import { expertMask } from './dispatch.js'
import type { Gradients } from './run.js'

/** Computed tensors by name. */
export type Computed = ReadonlyMap<string, Tensor | HostTensor>

/** The tensors of a pass through encoder and decoder. */
export async function passTensors(output: ForwardOutput, model: ModelConfig): Promise<Computed> {
  const { routers } = output
  const encoder = { output: output.encoderOutput, states: output.encoderStates, routers }
  const decoder = { output: output.decoderOutput, states: output.decoderStates, routers }
  return new Map([
    ['logits', output.logits] as const,
    ...(await encoderTensors(encoder, model)),
    ...(await stackTensors('decoder', decoder, model.numDecoderLayers)),
  ])
}

/** The tensors of an encoder. */
export async function encoderTensors(output: StackOutput, model: ModelConfig): Promise<Computed> {
  return new Map([
    ['encoder_last_hidden_state', output.output],
    ...(await stackTensors('encoder', output, model.numEncoderLayers)),
  ])
}

/** Hidden states, routing and router losses of a stack. HF's last hidden state is the one after the final norm. */
async function stackTensors(stack: StackName, output: StackOutput, numLayers: number): Promise<Computed> {
  const named = new Map<string, Tensor | HostTensor>()
  ;[...output.states.slice(0, -1), output.output].forEach((x, i) => named.set(`${stack}_hidden_states.${i}`, x))
  const { auxLoss, zLoss } = hfStackLosses(stackRouters(stack, output.routers, numLayers))
  named.set(`${stack}_aux_loss`, auxLoss).set(`${stack}_z_loss`, zLoss)
  const routers = output.routers.filter(router => router.stack === stack)
  for (const [i, { layer, record }] of routers.entries()) {
    named.set(`${stack}_router_logits.${i}`, record.logits)
    named.set(`dispatch_mask.${stack}.block.${layer}`, await expertMask(record))
  }
  return named
}

/**
 * Gradients as `grad.<name>`, with HF's names and layouts. `recorded` are the names of a case. HF may have one tensor
 * for several of our tables (embeddings and head): its gradient is the sum of ours.
 */
export async function gradientTensors(
  gradients: Gradients,
  model: ModelConfig,
  router: RouterConfig,
  recorded: Iterable<string>,
): Promise<Computed> {
  const names = new Set(recorded)
  const family = hfFamily(names)
  const named = new Map<string, HostTensor>()
  for (const spec of declareParameters(model, router)) {
    const gradient = await gradients.get(spec.path)?.data()
    if (gradient === undefined) continue
    for (const [own, tensor] of toHf(spec, gradient, family)) {
      const name = [own, ...otherNames(spec)].map(n => `grad.${n}`).find(n => names.has(n)) ?? `grad.${own}`
      const known = named.get(name)
      named.set(name, known ? sum(known, tensor) : tensor)
    }
  }
  return named
}

/** Under which other names HF may have a table, if it is equal to that one. */
function otherNames({ role, place }: ParameterSpec): string[] {
  const [shared, encoder, decoder] = ['shared', 'encoder.embed_tokens', 'decoder.embed_tokens'].map(n => `${n}.weight`)
  if (role === 'outputProjection') return [encoder, shared]
  if (role !== 'embedding') return []
  return place.stack === null ? [encoder, decoder] : [shared]
}

/** The sum of two float32 tensors of one shape. */
const sum = (a: HostTensor, b: HostTensor): HostTensor =>
  hostTensor(
    'float32',
    a.shape,
    Float32Array.from(a.data as Float32Array, (x, i) => x + Number(b.data[i])),
  )
