import { formatBytes, formatCount, formatTable } from '../../base/format.js'
import { countParameters, declareParameters } from '../../model/parameters.js'
import { devicesIn, formatMesh } from '../../train/parallel/mesh-config.js'
import type { Device, Links } from '../../plan/devices.js'
import type { MeshShape } from '../../plan/mesh-shape.js'
import { LINK_EFFICIENCY } from '../../plan/network.js'
import { MEMORY_EFFICIENCY } from '../../plan/plan.js'
import type { StepPlan } from '../../plan/plan.js'
import { errorsOf } from '../../plan/published.js'
import { USABLE_MEMORY } from '../../plan/search.js'
import type { MeshPlan, TrainingPlan } from '../../plan/search.js'
import type { RunConfig } from '../../train/config.js'

/** So many of the other meshes are listed. */
const LISTED = 8
/** More slots than this for each token are remarked on. */
const MANY_SLOTS = 2

/** What is planned. */
export interface PlannedTraining {
  readonly name: string
  readonly config: RunConfig
  readonly devices: number
  readonly device: Device
  /** Where the settings are from. */
  readonly note: string
}

/** The best mesh, and the other ones, as text for people. `own`: the plan of the configuration's `train.mesh`. */
export function describePlan(
  training: PlannedTraining,
  { best, others, tried }: TrainingPlan,
  own: MeshPlan | undefined,
): string {
  const { config } = training
  return [
    ...heading(training),
    `best mesh: ${formatMesh(best.mesh)}${settingsText(config, best)}`,
    ...(own === undefined ? [] : [ownLine(training, own, best)]),
    '',
    ...planLines(training, best),
    ...othersLines(config, others, tried, own?.plan.mesh),
    ...reliability(training, best),
  ].join('\n')
}

/** The plan of one mesh, as text for people. */
export function describeMesh(training: PlannedTraining, { plan, fits, fitting }: MeshPlan): string {
  return [
    ...heading(training),
    `mesh: ${formatMesh(plan.mesh)}`,
    ...(fits ? [] : [misfit(training, plan, fitting)]),
    '',
    ...planLines(training, plan),
    ...reliability(training, plan),
  ].join('\n')
}

function heading({ name, config: { model, router, train }, devices, device, note }: PlannedTraining): string[] {
  const parameters = countParameters(declareParameters(model, router))
  return [
    `${name}: ${formatCount(parameters)} parameters, on ${formatCount(devices)} ${device.name}`,
    `a batch: ${formatCount(train.rows)} rows of ${train.inputLength} + ${train.targetLength} tokens, ${train.optimizer.kind}, ${model.dtype} (${note})`,
    '',
  ]
}

/** How the mesh of the configuration compares with the best one. */
function ownLine(training: PlannedTraining, { plan, fits, fitting }: MeshPlan, best: StepPlan): string {
  const { config, devices } = training
  const isBest = formatMesh(plan.mesh) === formatMesh(best.mesh)
  if (isBest && settingsText(config, best) === '') return "  it is the configuration's train.mesh"
  const name = `the configuration's train.mesh: ${formatMesh(plan.mesh)}`
  const count = devicesIn(plan.mesh) === devices ? '' : `, of ${formatCount(devicesIn(plan.mesh))} devices`
  const figures = `a step takes ${time(plan.seconds.total)} (${(plan.seconds.total / best.seconds.total).toFixed(2)} of the best mesh's)`
  return `${name}${count}: ${fits ? `${figures} and ${formatBytes(plan.totalBytes)}` : misfit(training, plan, fitting)}`
}

/** Why a plan does not fit, and what would. */
const misfit = ({ config, device }: PlannedTraining, plan: StepPlan, fitting: StepPlan | undefined): string =>
  `it does not fit: a step takes ${formatBytes(plan.totalBytes)}, and may take ${formatBytes(USABLE_MEMORY * device.memory)} of a device. ` +
  (fitting === undefined
    ? 'Use more devices, or fewer rows (train.rows)'
    : `It fits${settingsText(config, fitting)} (${formatBytes(fitting.totalBytes)}, ${time(fitting.seconds.total)} a step)`)

const planLines = ({ config, device }: PlannedTraining, plan: StepPlan): string[] => [
  ...memoryLines(plan, device),
  '',
  ...stepLines(plan, config.train.rows),
  '',
]

const reliability = ({ config, device }: PlannedTraining, plan: StepPlan): string[] => [
  'assumptions:',
  ...assumptions(config, device, plan).map(line => `  - ${line}`),
  `accuracy: ${errorText(device)}`,
]

/** The settings that a plan needs and the configuration does not have: ` with --set train.remat=true`. */
function settingsText({ train }: RunConfig, { remat, accumulate }: StepPlan): string {
  const changed = [
    ...(remat === train.remat ? [] : [`--set train.remat=${remat}`]),
    ...(accumulate === train.accumulate ? [] : [`--set train.accumulate=${accumulate}`]),
  ]
  return changed.length === 0 ? '' : ` with ${changed.join(' ')}`
}

function memoryLines({ memory, totalBytes, cacheBytes }: StepPlan, device: Device): string[] {
  const rows = [
    ['parameters', memory.parameters],
    ['optimizer state', memory.optimizer],
    ['gradients', memory.gradients],
    ['rounded parameters', memory.rounded],
    ['activations', memory.activations],
    ['logits', memory.logits],
    ['together', totalBytes],
  ] as const
  const table = formatTable(rows.map(([what, bytes]) => [`  ${what}`, formatBytes(bytes)]))
  return [
    `memory of a device, which has ${formatBytes(device.memory)}:`,
    table,
    `  (generating answers to a batch needs caches of ${formatBytes(cacheBytes)} and no gradients or optimizer state)`,
  ]
}

function stepLines({ seconds, communication, flops, utilization }: StepPlan, rows: number): string[] {
  const rowsOf: [string, string, string][] = [
    ['matrix products', time(seconds.products), `${amount(flops)}FLOP on a device`],
    ['traffic to memory', time(seconds.memory), ''],
    ["optimizer's update", time(seconds.update), ''],
    ...communication.map(({ name, axes, bytes, seconds: s }): [string, string, string] => [
      name,
      time(s),
      `a device sends ${amount(bytes)}B over ${axes}`,
    ]),
  ]
  return [
    `a step: ${time(seconds.total)} (${time(seconds.least)} if all communication went on behind computation), ${formatCount(Math.round(rows / seconds.total))} rows/s, ${(100 * utilization).toFixed(0)}% of the peak`,
    formatTable(rowsOf.map(([what, ...rest]) => [`  ${what}`, ...rest])),
  ]
}

/** The fastest of the other meshes, and the configuration's own mesh if it is among them. */
function othersLines(
  config: RunConfig,
  others: readonly StepPlan[],
  tried: number,
  own: MeshShape | undefined,
): string[] {
  if (others.length === 0) return []
  const isOwn = ({ mesh }: StepPlan): boolean => own !== undefined && formatMesh(mesh) === formatMesh(own)
  const shown = others.filter((plan, i) => i < LISTED || isOwn(plan))
  return [
    `other meshes that fit (${others.length} of ${tried - 1}), the fastest first:`,
    formatTable([
      ['  mesh', 'a step', 'memory', 'settings'],
      ...shown.map(plan => [
        `  ${formatMesh(plan.mesh)}${isOwn(plan) ? ' (train.mesh)' : ''}`,
        time(plan.seconds.total),
        formatBytes(plan.totalBytes),
        settingsText(config, plan).replace(' with ', ''),
      ]),
    ]),
    '',
  ]
}

function assumptions({ model, router }: RunConfig, device: Device, { slotsPerToken, mesh }: StepPlan): string[] {
  const { encoder, decoder } = slotsPerToken
  const sparse =
    model.numExperts === 0
      ? []
      : [
          `experts compute ${encoder.toFixed(2)} slots for each input token and ${decoder.toFixed(2)} for each target token` +
            (Math.max(encoder, decoder) > MANY_SLOTS
              ? `: many stay empty, because an expert has at least ${router.minExpertCapacity} slots in each group of tokens, and the ${formatCount(mesh.data * mesh.expert)} parts of the batch make groups small. Larger batches fill them`
              : ''),
        ]
  return [
    `${device.name}: ${amount(device.flops[model.dtype])}FLOP/s in ${model.dtype}, ${amount(device.memoryBandwidth)}B/s to memory, ${linksText(device.links)} (${device.source})`,
    `matrix products reach ${percent(device.efficiency)} of the peak, memory traffic ${percent(MEMORY_EFFICIENCY)} and collectives ${percent(LINK_EFFICIENCY)} of the bandwidth`,
    'nothing overlaps: a step is the sum of its parts',
    `a step may take ${percent(USABLE_MEMORY)} of a device's memory`,
    'parameters, optimizer state and gradients are float32 and divided as in T5X: experts over expert; heads, hidden layers and vocabulary over tensor; the batch over data and expert',
    ...sparse,
  ]
}

function linksText(links: Links): string {
  switch (links.kind) {
    case 'flat':
      return `${amount(links.bandwidth)}B/s between any two devices`
    case 'nodes':
      return `${amount(links.link)}B/s within nodes of ${links.size}, ${amount(links.network)}B/s between them`
    case 'torus':
      return `a torus of ${links.dimensions} dimensions with ${amount(links.link)}B/s on each link of a chip`
  }
}

function errorText(device: Device): string {
  const errors = errorsOf(device)
  const range = (values: readonly number[]): string =>
    `${signed(Math.min(...values))} to ${signed(Math.max(...values))}`
  if (errors.own.length > 0)
    return `the steps of ${errors.own.length} published trainings on ${device.name} are predicted with ${range(errors.own)} (docs/plan.md)`
  return `no published training on ${device.name} is known; the steps of ${errors.all.length} on other devices are predicted with ${range(errors.all)} (docs/plan.md)`
}

const signed = (ratio: number): string => `${ratio >= 0 ? '+' : ''}${(100 * ratio).toFixed(0)}%`
const percent = (share: number): string => `${(100 * share).toFixed(0)}%`

/** 0.0123 -> "12.3 ms". */
const time = (seconds: number): string =>
  seconds >= 100
    ? `${seconds.toFixed(0)} s`
    : seconds >= 0.9995
      ? `${seconds.toFixed(2)} s`
      : `${(1000 * seconds).toPrecision(3)} ms`

/** 3.12e14 -> "312 T", to be followed by a unit. */
function amount(n: number): string {
  const prefixes = ['', 'k', 'M', 'G', 'T', 'P', 'E']
  const power = n < 1 ? 0 : Math.min(prefixes.length - 1, Math.floor(Math.log10(n) / 3))
  return `${(n / 1000 ** power).toPrecision(3)} ${prefixes[power]}`
}
