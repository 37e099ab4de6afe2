import type { RunConfig } from '../train/config.js'
import { stepCommunication } from './communication.js'
import type { Communication } from './communication.js'
import { stepFlops } from './computation.js'
import type { TokenFlops } from './computation.js'
import type { Device } from './devices.js'
import { cacheBytes, deviceMemory, keptBytes, localElements, totalBytes } from './memory.js'
import type { DeviceMemory, RunSpecs } from './memory.js'
import { devicesIn } from '../train/parallel/mesh-config.js'
import { batchShards } from './mesh-shape.js'
import type { MeshShape } from './mesh-shape.js'
import { slotsPerToken } from './slots.js'
import type { BatchSize } from './slots.js'

/** The predicted time of a training step, in seconds. */
export interface StepTime {
  /** The matrix products of the forward and the backward pass, at the device's efficiency. */
  readonly products: number
  /** The traffic to the device's memory of both passes: element-wise operations read and write there. */
  readonly memory: number
  /** The optimizer's update, which memory bandwidth limits. */
  readonly update: number
  readonly communication: number
  /** The prediction: the sum of all of these. */
  readonly total: number
  /** The time if all communication went on while devices compute. */
  readonly least: number
}

/** What a training step takes on a mesh. */
export interface StepPlan {
  readonly mesh: MeshShape
  readonly remat: boolean
  readonly accumulate: number
  readonly memory: DeviceMemory
  readonly totalBytes: number
  /** The keys and values of a decoder that generates answers to a whole batch. They are not part of a step. */
  readonly cacheBytes: number
  /** The operations of one device's matrix products. */
  readonly flops: number
  readonly slotsPerToken: { readonly encoder: number; readonly decoder: number }
  readonly communication: readonly Communication[]
  readonly seconds: StepTime
  /** The share of the device's peak that the step reaches, counting empty slots of experts as work. */
  readonly utilization: number
}

/** The share of a memory's bandwidth that large transfers reach. */
export const MEMORY_EFFICIENCY = 0.8

/** Predicts one training step on a mesh, which must be one of `validMeshes`. Nothing is allocated. */
export function planStep(
  config: RunConfig,
  specs: RunSpecs,
  tokens: TokenFlops,
  mesh: MeshShape,
  device: Device,
): StepPlan {
  const { model, router, train } = config
  const { remat, accumulate, inputLength, targetLength } = train
  const devices = devicesIn(mesh)
  const part = { rows: train.rows / accumulate, inputLength, targetLength }
  const slots = slotsPerToken(model, router, part, batchShards(mesh))
  const memory = deviceMemory(config, specs, mesh, part, slots)
  const flops = (accumulate * stepFlops(model, tokens, part, slots, remat)) / devices
  const communication = stepCommunication(config, specs, mesh, part, slots, device.links)
  const seconds = stepTime(
    device,
    flops,
    passTraffic(config, specs, mesh, part, slots),
    memory,
    communication,
    model.dtype,
  )
  return {
    mesh,
    remat,
    accumulate,
    memory,
    totalBytes: totalBytes(memory),
    cacheBytes: cacheBytes(model, { ...part, rows: train.rows }, mesh),
    flops,
    slotsPerToken: slots,
    communication,
    seconds,
    utilization: flops / seconds.total / device.flops[model.dtype],
  }
}

/**
 * The bytes that forward and backward pass move to and from a device's memory. For each part of a batch, parameters are
 * read and rounded, read twice as rounded, and their gradients written; activations are written once and read twice.
 * With `remat`, layers are computed once more.
 */
function passTraffic(
  config: RunConfig,
  specs: RunSpecs,
  mesh: MeshShape,
  part: BatchSize,
  slots: { encoder: number; decoder: number },
): number {
  const { model, train } = config
  const parameters = localElements([...specs.trained, ...specs.frozen], mesh)
  const perParameter = model.dtype === 'bfloat16' ? 4 + 2 + 2 * 2 + 4 : 4 * 2 + 4
  const { activations, logits } = keptBytes(config, mesh, part, slots, false)
  return train.accumulate * (perParameter * parameters + (train.remat ? 4 : 3) * activations + 3 * logits)
}

function stepTime(
  device: Device,
  flops: number,
  traffic: number,
  { parameters, optimizer, gradients }: DeviceMemory,
  collectives: readonly Communication[],
  dtype: 'bfloat16' | 'float32',
): StepTime {
  const bandwidth = MEMORY_EFFICIENCY * device.memoryBandwidth
  const products = flops / (device.efficiency * device.flops[dtype])
  const memory = traffic / bandwidth
  // Parameters and state are read and written, gradients are read.
  const update = (2 * parameters + gradients + 2 * optimizer) / bandwidth
  const communication = collectives.reduce((sum, { seconds }) => sum + seconds, 0)
  const busy = products + memory + update
  return {
    products,
    memory,
    update,
    communication,
    total: busy + communication,
    least: Math.max(busy, communication),
  }
}
