import { stackLayers } from '../model/config.js'
import type { ModelConfig, StackName } from '../model/config.js'
import type { RunConfig } from '../train/config.js'
import type { Links } from './devices.js'
import { localElements } from './memory.js'
import type { RunSpecs } from './memory.js'
import { devicesIn } from '../train/parallel/mesh-config.js'
import { batchShards } from './mesh-shape.js'
import type { MeshShape } from './mesh-shape.js'
import { allReduceBytes, allToAllBytes, allToAllSeconds, ringSeconds } from './network.js'
import type { DeviceGroup } from './network.js'
import type { BatchSize } from './slots.js'

/** What the devices of a mesh send each other in a training step for one purpose. */
export interface Communication {
  readonly name: string
  /** The axes of the mesh over which it goes. */
  readonly axes: string
  /** The bytes that each device sends. */
  readonly bytes: number
  readonly seconds: number
}

/** The communication of a training step, in `parts` parts. Purposes that send nothing are left out. */
export function stepCommunication(
  { model, train }: RunConfig,
  { trained }: RunSpecs,
  mesh: MeshShape,
  part: BatchSize,
  slots: { encoder: number; decoder: number },
  links: Links,
): Communication[] {
  const bytesOf = model.dtype === 'bfloat16' ? 2 : 4
  const devices = devicesIn(mesh)
  const { data, expert, tensor } = mesh
  const parts = train.accumulate
  const isExpert = ({ axes }: (typeof trained)[number]): boolean => axes[0] === 'expert'
  const gradients = (specs: typeof trained, name: string, axes: string, group: DeviceGroup): Communication => {
    const sent = parts * allReduceBytes(bytesOf * localElements(specs, mesh), group.size)
    return { name, axes, bytes: sent, seconds: ringSeconds(links, group, devices, sent) }
  }
  const exchanges = allToAlls(model, part, slots, train.remat)
  const exchanged = parts * allToAllBytes((bytesOf * exchanges.elements) / batchShards(mesh), expert)
  const reductions = tensorReductions(model, part, slots, train.remat)
  const reduced = parts * allReduceBytes((bytesOf * reductions.elements) / batchShards(mesh), tensor)
  const [overExpert, overTensor] = [
    { size: expert, stride: tensor },
    { size: tensor, stride: 1 },
  ]
  return [
    gradients(
      trained.filter(spec => !isExpert(spec)),
      'gradients of shared parameters',
      'data, expert',
      { size: batchShards(mesh), stride: tensor },
    ),
    gradients(trained.filter(isExpert), 'gradients of experts', 'data', { size: data, stride: tensor * expert }),
    {
      name: 'tokens to experts and back (all-to-all)',
      axes: 'expert',
      bytes: exchanged,
      seconds: repeated(exchanges.count * parts, exchanged, sent => allToAllSeconds(links, overExpert, devices, sent)),
    },
    {
      name: 'sums of divided products',
      axes: 'tensor',
      bytes: reduced,
      seconds: repeated(reductions.count * parts, reduced, sent => ringSeconds(links, overTensor, devices, sent)),
    },
  ].filter(({ bytes }) => bytes > 0)
}

/** The seconds of `count` equal collectives that send `bytes` together. */
const repeated = (count: number, bytes: number, seconds: (bytes: number) => number): number =>
  count === 0 ? 0 : count * seconds(bytes / count)

interface Volume {
  /** How many collectives there are. */
  readonly count: number
  /** The elements of their arrays together, over the whole batch. */
  readonly elements: number
}

/**
 * The all-to-alls of a step: each sparse layer sends its slots to the experts' devices and back, in the forward and in
 * the backward pass.
 */
function allToAlls(model: ModelConfig, part: BatchSize, slots: Record<StackName, number>, remat: boolean): Volume {
  const times = remat ? 6 : 4
  const ofStack = (stack: StackName, length: number): Volume => {
    const layers = stackLayers(model, stack).filter(({ sparse }) => sparse).length
    return { count: times * layers, elements: times * layers * part.rows * length * slots[stack] * model.dModel }
  }
  return sum([ofStack('encoder', part.inputLength), ofStack('decoder', part.targetLength)])
}

/**
 * The all-reduces of tensor parallelism: one for each sublayer in the forward pass (its output), one in the backward
 * pass (its input's gradient); the same for the embedding and for the logits.
 */
function tensorReductions(
  model: ModelConfig,
  part: BatchSize,
  slots: Record<StackName, number>,
  remat: boolean,
): Volume {
  const times = remat ? 3 : 2
  const ofStack = (stack: StackName, length: number, attentions: number): Volume => {
    const layers = stackLayers(model, stack)
    const perToken = layers.reduce((n, { sparse }) => n + attentions + (sparse ? slots[stack] : 1), 0)
    return {
      count: times * layers.length * (attentions + 1) + 1,
      elements: (times * perToken + 1) * part.rows * length * model.dModel,
    }
  }
  const decoder = model.numDecoderLayers === 0 ? [] : [ofStack('decoder', part.targetLength, 2)]
  return sum([ofStack('encoder', part.inputLength, 1), ...decoder])
}

const sum = (volumes: readonly Volume[]): Volume => ({
  count: volumes.reduce((n, v) => n + v.count, 0),
  elements: volumes.reduce((n, v) => n + v.elements, 0),
})
