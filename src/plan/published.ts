import { presets } from '../model/presets.js'
import type { Preset } from '../model/presets.js'
import { pretraining } from '../config/recipes/published.js'
import type { RunConfig } from '../train/config.js'
import { tokenFlops } from './computation.js'
import { deviceNamed } from './devices.js'
import type { Device } from './devices.js'
import { runSpecs } from './memory.js'
import type { MeshShape } from './mesh-shape.js'
import { planStep } from './plan.js'
import type { StepPlan } from './plan.js'

/** A training whose speed was published, and the plan of the same training. */
export interface PublishedRun {
  readonly name: string
  readonly source: string
  readonly config: RunConfig
  readonly device: string
  readonly mesh: MeshShape
  /** The published seconds of a step. */
  readonly seconds: number
  /** What the source leaves open, and what is taken for it. */
  readonly assumed: string
}

const table1 = 'Switch Transformers (arXiv 2101.03961), table 1'
const patterson = 'Patterson et al. 2021 (arXiv 2104.10350), table 4'
const rosetta = "NVIDIA's Rosetta T5X (JAX-Toolbox, rosetta/projects/t5x/README.md), bfloat16"

const adamW = { kind: 'adamW', b1: 0.9, b2: 0.999, epsilon: 1e-8, weightDecay: 0 } as const

type Changes = Partial<Pick<RunConfig['train'], 'rows' | 'targetLength' | 'optimizer' | 'remat'>>

const configOf = ({ model, router }: Preset, changes: Changes): RunConfig => {
  const published = pretraining('t5-1.1-base')
  return { ...published, model, router, train: { ...published.train, ...changes } }
}

/** T5 1.1 on nodes of 8 A100 with 80 GB: rows of 512 + 128 tokens, AdamW. */
function nvidia(size: string, devices: number, tensor: number, rows: number, sequencesPerSecond: number): PublishedRun {
  return {
    name: `t5-1.1-${size} on ${devices} A100`,
    source: rosetta,
    config: configOf(presets.get(`t5-1.1-${size}`)!, { rows, targetLength: 128, optimizer: adamW }),
    device: 'a100-80',
    mesh: { data: devices / tensor, expert: 1, tensor },
    seconds: rows / sequencesPerSecond,
    assumed: 'no rematerialization',
  }
}

/** The models of the Switch Transformers paper: experts in every second layer of T5 1.1. */
function switchPaper(size: 'base' | 'large', numExperts: number, capacityFactor: number): Preset {
  const { model, router } = presets.get(`t5-1.1-${size}`)!
  const everySecond = (layers: number): number[] => Array.from({ length: layers }, (_, i) => i).filter(i => i % 2 === 1)
  return {
    model: {
      ...model,
      numExperts,
      encoderSparseLayers: everySecond(model.numEncoderLayers),
      decoderSparseLayers: everySecond(model.numDecoderLayers),
    },
    router: { ...router, trainCapacityFactor: capacityFactor },
  }
}

/** Table 1 of the Switch Transformers paper: 32 cores of TPU v3. */
const onThirtyTwoCores = (name: string, preset: Preset, examplesPerSecond: number): PublishedRun => {
  const rows = 2048
  const isSparse = preset.model.numExperts > 0
  return {
    name: `${name} on 32 TPU v3 cores`,
    source: table1,
    config: configOf(preset, { rows }),
    device: 'tpu-v3',
    mesh: isSparse ? { data: 1, expert: 32, tensor: 1 } : { data: 32, expert: 1, tensor: 1 },
    seconds: rows / examplesPerSecond,
    assumed: '2,048 rows of 512 + 114 tokens',
  }
}

/** T5's largest model has wide layers: table 4 of Patterson et al. gives its training time on 512 chips. */
const t5Eleven: PublishedRun = {
  name: 'T5-11B on 1,024 TPU v3 cores',
  source: patterson,
  config: configOf(
    {
      ...presets.get('t5-1.0-large')!,
      model: { ...presets.get('t5-1.0-large')!.model, dFf: 65_536, numHeads: 128, headDim: 128 },
    },
    { rows: 2048 },
  ),
  device: 'tpu-v3',
  mesh: { data: 64, expert: 1, tensor: 16 },
  seconds: (20 * 24 * 3600) / 1e6,
  assumed: '1,000,000 steps of 2,048 rows of 512 + 114 tokens in the 20 days; tensor=16',
}

/**
 * The 1.6 trillion parameters of Patterson et al., on 1,024 chips. Their 8.22e22 operations are those of 1,000,000
 * steps of Switch-C if experts have at least 4 slots in each core's group of tokens, as by default in Mesh TensorFlow.
 */
const switchC: PublishedRun = {
  name: 'Switch-C on 2,048 TPU v3 cores',
  source: patterson,
  config: configOf(
    { ...presets.get('switch-c-2048')!, router: { ...presets.get('switch-c-2048')!.router, minExpertCapacity: 4 } },
    { rows: 2048 },
  ),
  device: 'tpu-v3',
  mesh: { data: 1, expert: 2048, tensor: 1 },
  seconds: (27 * 24 * 3600) / 1e6,
  assumed: '1,000,000 steps of 2,048 rows of 512 + 114 tokens in the 27 days; a smallest capacity of 4',
}

/** The trainings that predictions are compared with. */
export const publishedRuns: readonly PublishedRun[] = [
  onThirtyTwoCores('T5-Base', presets.get('t5-1.1-base')!, 1600),
  onThirtyTwoCores('T5-Large', presets.get('t5-1.1-large')!, 470),
  onThirtyTwoCores('Switch-Base 128, capacity 1.0', switchPaper('base', 128, 1), 1000),
  onThirtyTwoCores('Switch-Base 128, capacity 1.25', switchPaper('base', 128, 1.25), 910),
  onThirtyTwoCores('Switch-Base 128, capacity 2.0', switchPaper('base', 128, 2), 860),
  t5Eleven,
  switchC,
  nvidia('small', 8, 1, 2048, 5712),
  nvidia('large', 64, 1, 2048, 4853),
  nvidia('xl', 144, 1, 2016, 3021),
  nvidia('xl', 256, 1, 2048, 4322),
  nvidia('xxl', 512, 8, 2304, 1887),
]

/** The plan of a published run, on its mesh and with its settings. */
export function planOf({ config, mesh, device }: PublishedRun): StepPlan {
  return planStep(config, runSpecs(config), tokenFlops(config.model, config.router), mesh, deviceNamed(device))
}

/** By how much the predicted step of a published run is longer than the published one: 0.1 is 10%. */
export const errorOf = (run: PublishedRun): number => planOf(run).seconds.total / run.seconds - 1

/** The errors of the predictions of all published runs, and of those on a kind of device. */
export function errorsOf({ name }: Pick<Device, 'name'>): { own: number[]; all: number[] } {
  return {
    own: publishedRuns.filter(run => run.device === name).map(errorOf),
    all: publishedRuns.map(errorOf),
  }
}
