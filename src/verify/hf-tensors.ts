/** The tensors of a pass under the names that recorded Hugging Face cases have for them. */
import { hostTensor, toNumbers } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { leavesWithPaths } from '../base/pytree.js'
import { hfFamily, toHf } from '../checkpoint/names/hf.js'
import type { HfFamily } from '../checkpoint/names/hf.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { ModelConfig, RouterConfig, StackName } from '../model/config.js'
import type { StackOutput } from '../model/forward.js'
import { stackRouters } from '../model/loss.js'
import { declareParameters } from '../model/parameters.js'
import type { ParameterSpec } from '../model/parameters.js'
import { hfStackLosses } from '../model/router-losses.js'
import type { ForwardOutput, ModelParams } from '../model/types.js'
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
  params: ModelParams,
  recorded: Iterable<string>,
): Promise<Computed> {
  if (gradients.size === 0) return new Map()
  const names = new Set(recorded)
  const family = hfFamily(names)
  const tables = await tableValues(params, model, router, family)
  const named = new Map<string, HostTensor>()
  for (const spec of declareParameters(model, router)) {
    const gradient = await gradients.get(spec.path)?.data()
    if (gradient === undefined) continue
    for (const [own, tensor] of toHf(spec, gradient, family)) {
      const possible = isTable(spec) ? tableNames(spec, tables, model.tiedLogits) : [own]
      const name = possible.map(n => `grad.${n}`).find(n => names.has(n)) ?? `grad.${own}`
      const known = named.get(name)
      named.set(name, known ? sum(known, tensor) : tensor)
    }
  }
  return named
}

/** The embeddings and the head. */
type Tables = Partial<Record<'encoder' | 'decoder' | 'head', readonly number[]>>

const isTable = ({ role }: ParameterSpec): boolean => role === 'embedding' || role === 'outputProjection'

/** The values of the tables that are not shared by both stacks, in HF's layout. */
async function tableValues(
  params: ModelParams,
  model: ModelConfig,
  router: RouterConfig,
  family: HfFamily,
): Promise<Tables> {
  const values: Tables = {}
  const leaves = new Map(leavesWithPaths<Tensor>(params))
  for (const spec of declareParameters(model, router)) {
    const use = spec.role === 'outputProjection' ? 'head' : spec.place.stack
    const tensor = leaves.get(spec.path)
    if (!isTable(spec) || use === null || !tensor) continue
    const [[, table]] = toHf(spec, await tensor.data(), family)
    values[use] = toNumbers(table)
  }
  return values
}

/**
 * The names that HF may have for a table, the likeliest first. HF ties tables to `shared`; a record may also have
 * tables of equal values under the name of the first.
 */
function tableNames({ role, place }: ParameterSpec, tables: Tables, isTied: boolean): string[] {
  const [encoder, decoder] = ['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight']
  const [head, shared] = ['lm_head.weight', 'shared.weight']
  const ifEqual = (a: keyof Tables, b: keyof Tables, name: string): string[] =>
    tables[a] && tables[b] && tables[a].every((x, i) => x === tables[b]![i]) ? [name] : []
  if (role === 'outputProjection')
    return [head, ...ifEqual('encoder', 'head', encoder), ...ifEqual('decoder', 'head', decoder), shared, encoder]
  if (place.stack === 'encoder') return [encoder, shared]
  if (place.stack === 'decoder') return [decoder, ...ifEqual('encoder', 'decoder', encoder), shared]
  return [encoder, decoder, ...(isTied ? [head] : []), shared]
}

/** The sum of two float32 tensors of one shape. */
const sum = (a: HostTensor, b: HostTensor): HostTensor =>
  hostTensor(
    'float32',
    a.shape,
    Float32Array.from(a.data as Float32Array, (x, i) => x + Number(b.data[i])),
  )
