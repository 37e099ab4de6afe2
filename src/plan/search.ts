import { SwitchyardError } from '../base/errors.js'
import { formatBytes, formatCount } from '../base/format.js'
import type { RunConfig } from '../train/config.js'
import { meshOfRun } from '../train/parallel/mesh-config.js'
import { tokenFlops } from './computation.js'
import type { Device } from './devices.js'
import { runSpecs } from './memory.js'
import { batchShards, validMeshes } from './mesh-shape.js'
import type { MeshShape } from './mesh-shape.js'
import { planStep } from './plan.js'
import type { StepPlan } from './plan.js'

/** The share of a device's memory that a step may take. The rest is for the runtime and for gaps between arrays. */
export const USABLE_MEMORY = 0.9

/** The largest mesh that is tried where smaller ones do not fit. */
const MOST_DEVICES = 65_536

/** The plan of a training: the fastest mesh that fits, and the fastest plan of every other mesh that fits. */
export interface TrainingPlan {
  readonly best: StepPlan
  readonly others: readonly StepPlan[]
  /** How many meshes are valid for the model and the batch. */
  readonly tried: number
}

/**
 * The fastest way to train on so many devices: every valid mesh is tried, with the configuration's settings, with
 * `train.remat`, and with the batch in more parts (`train.accumulate`). Throws a SwitchyardError if the model cannot be
 * divided over the devices, or if nothing fits; it names what would.
 */
export function planTraining(config: RunConfig, devices: number, device: Device): TrainingPlan {
  const { model, train } = config
  const { valid, fitting } = tryMeshes(config, devices, device)
  if (valid.length === 0)
    throw new SwitchyardError(
      `${formatCount(devices)} devices cannot divide this training: data x expert must divide the ${formatCount(train.rows)} rows of a batch (train.rows), ` +
        `expert the ${formatCount(model.numExperts)} experts, and tensor the ${model.numHeads} heads and dFf=${formatCount(model.dFf)}; ${nearbyCounts(config, devices)}`,
    )
  if (fitting.length === 0) throw new SwitchyardError(nothingFits(config, devices, device, valid))
  const [best, ...others] = fastestOfEachMesh(fitting)
  return { best, others, tried: new Set(valid.map(({ mesh }) => JSON.stringify(mesh))).size }
}

/** The plan of a training on one mesh. */
export interface MeshPlan {
  /** With the configuration's settings, whether it fits or not. */
  readonly plan: StepPlan
  readonly fits: boolean
  /** The fastest plan that fits, if the settings must change for that. Undefined if `plan` fits, or if nothing does. */
  readonly fitting: StepPlan | undefined
}

/**
 * Predicts a training on exactly one mesh. Throws a ConfigError if the model or the batch cannot be divided over it.
 */
export function planMesh(config: RunConfig, mesh: MeshShape, device: Device): MeshPlan {
  const { train } = config
  meshOfRun({ ...config, train: { ...train, mesh } })
  const plans = plansOf(config, [mesh], device)
  const plan = plans.find(p => p.remat === train.remat && p.accumulate === train.accumulate)!
  const fits = fitsInto(plan, device)
  return { plan, fits, fitting: fits ? undefined : fastestOfEachMesh(plans.filter(p => fitsInto(p, device)))[0] }
}

const fitsInto = (plan: StepPlan, device: Device): boolean => plan.totalBytes <= USABLE_MEMORY * device.memory

function tryMeshes(config: RunConfig, devices: number, device: Device): { valid: StepPlan[]; fitting: StepPlan[] } {
  const { model, train } = config
  const valid = plansOf(config, validMeshes(model, train.rows / train.accumulate, devices), device)
  return { valid, fitting: valid.filter(plan => fitsInto(plan, device)) }
}

/** The plans of meshes with the configuration's settings, with `train.remat`, and with the batch in more parts. */
function plansOf(config: RunConfig, meshes: readonly MeshShape[], device: Device): StepPlan[] {
  const { model, router, train } = config
  const specs = runSpecs(config)
  const tokens = tokenFlops(model, router)
  return meshes.flatMap(mesh =>
    partsOf(train.rows, train.accumulate, batchShards(mesh)).flatMap(accumulate =>
      [...new Set([train.remat, true])].map(remat =>
        planStep({ ...config, train: { ...train, accumulate, remat } }, specs, tokens, mesh, device),
      ),
    ),
  )
}

/** The numbers of parts of a batch that are tried: the configured one, doubled as long as every device has a row. */
function partsOf(rows: number, accumulate: number, shards: number): number[] {
  const doubled = 2 * accumulate
  return rows % (doubled * shards) === 0 ? [accumulate, ...partsOf(rows, doubled, shards)] : [accumulate]
}

/** The fastest plan of each mesh, the fastest first. */
function fastestOfEachMesh(plans: readonly StepPlan[]): StepPlan[] {
  const ordered = plans.toSorted((a, b) => a.seconds.total - b.seconds.total || a.accumulate - b.accumulate)
  const seen = new Set<string>()
  return ordered.filter(({ mesh }) => {
    const key = JSON.stringify(mesh)
    return !seen.has(key) && seen.add(key)
  })
}

const nearbyCounts = ({ model, train }: RunConfig, devices: number): string => {
  const isValid = (n: number): boolean => validMeshes(model, train.rows / train.accumulate, n).length > 0
  const counts = Array.from({ length: MOST_DEVICES }, (_, i) => i + 1)
  const [below, above] = [counts.slice(0, devices - 1).findLast(isValid), counts.slice(devices).find(isValid)]
  return `possible are ${[below, above].flatMap(n => (n === undefined ? [] : [formatCount(n)])).join(' and ')} devices, or another train.rows`
}

/** The message if no mesh fits: the least memory with which one would, and the fewest devices of this kind. */
function nothingFits(config: RunConfig, devices: number, device: Device, valid: readonly StepPlan[]): string {
  const least = Math.min(...valid.map(plan => plan.totalBytes))
  const more = doublings(devices).find(n => tryMeshes(config, n, device).fitting.length > 0)
  return (
    `no mesh of ${formatCount(devices)} ${device.name} fits: a device has ${formatBytes(device.memory)}, ` +
    `of which a step may take ${formatBytes(USABLE_MEMORY * device.memory)}, and the smallest plan takes ${formatBytes(least)}. ` +
    `Devices of ${formatBytes(least / USABLE_MEMORY)} would fit` +
    (more === undefined ? '' : `, or ${formatCount(more)} of these devices`)
  )
}

const doublings = (devices: number): number[] =>
  devices * 2 > MOST_DEVICES ? [] : [devices * 2, ...doublings(devices * 2)]
