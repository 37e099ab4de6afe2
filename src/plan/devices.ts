import { ConfigError } from '../base/errors.js'

/**
 * How devices are connected. Bandwidths are bytes per second in one direction.
 *
 * - `torus`: chips in a torus, two links per chip and dimension. The devices of a chip share its links.
 * - `nodes`: `size` devices are connected with each other by fast links, and each has a network adapter of its own.
 * - `flat`: every device reaches every other one at the same speed.
 */
export type Links =
  | { readonly kind: 'torus'; readonly dimensions: number; readonly link: number; readonly devicesPerChip: number }
  | { readonly kind: 'nodes'; readonly size: number; readonly link: number; readonly network: number }
  | { readonly kind: 'flat'; readonly bandwidth: number }

/** What a plan needs to know about one device. */
export interface Device {
  readonly name: string
  /** Bytes. */
  readonly memory: number
  /** Peak multiplications and additions per second of matrix products, by the dtype of the model. */
  readonly flops: Readonly<Record<'bfloat16' | 'float32', number>>
  /** Bytes per second to and from the device's memory. */
  readonly memoryBandwidth: number
  readonly links: Links
  /** The share of the peak that the matrix products of a training step reach. */
  readonly efficiency: number
  /** Where the figures are from. */
  readonly source: string
}

const GB = 1e9
const GIB = 2 ** 30
const TERA = 1e12

/**
 * The efficiencies are fitted to published runs: TPU v3 to T5-Base and T5-Large of the Switch Transformers paper, A100
 * to NVIDIA's T5 1.1 large (published.ts). Those of other devices are those of the nearest kind.
 */
const TPU_EFFICIENCY = 0.47
const A100_EFFICIENCY = 0.5
const H100_EFFICIENCY = 0.45

/** NVLink 4: 900 GB/s in both directions. ConnectX-7: 400 Gbit/s for each GPU. */
const dgxH100: Links = { kind: 'nodes', size: 8, link: 450 * GB, network: 50 * GB }
/** NVLink 3: 600 GB/s in both directions. ConnectX-6: 200 Gbit/s for each GPU. */
const dgxA100: Links = { kind: 'nodes', size: 8, link: 300 * GB, network: 25 * GB }

const a100 = {
  // float32 products are exact here, so they do not run as TF32.
  flops: { bfloat16: 312 * TERA, float32: 19.5 * TERA },
  links: dgxA100,
  efficiency: A100_EFFICIENCY,
}
const hopper = {
  flops: { bfloat16: 989 * TERA, float32: 67 * TERA },
  links: dgxH100,
  efficiency: H100_EFFICIENCY,
}

const kinds: readonly Device[] = [
  {
    name: 'tpu-v3',
    memory: 16 * GIB,
    // An exact float32 product takes six passes in bfloat16.
    flops: { bfloat16: 61.5 * TERA, float32: (61.5 * TERA) / 6 },
    memoryBandwidth: 450 * GB,
    links: { kind: 'torus', dimensions: 2, link: 82 * GB, devicesPerChip: 2 },
    efficiency: TPU_EFFICIENCY,
    source:
      'one core, half of a chip (cloud.google.com/tpu/docs/v3: 123 TFLOP/s, 32 GiB, 900 GB/s a chip); 4 links of 656 Gbit/s a chip (Jouppi et al. 2020)',
  },
  {
    name: 'tpu-v4',
    memory: 32 * GIB,
    flops: { bfloat16: 275 * TERA, float32: (275 * TERA) / 6 },
    memoryBandwidth: 1200 * GB,
    links: { kind: 'torus', dimensions: 3, link: 50 * GB, devicesPerChip: 1 },
    efficiency: TPU_EFFICIENCY,
    source: 'one chip (cloud.google.com/tpu/docs/v4); 6 links of 50 GB/s (Jouppi et al. 2023)',
  },
  {
    name: 'a100-40',
    memory: 40 * GB,
    memoryBandwidth: 1555 * GB,
    ...a100,
    source: "NVIDIA's data sheet of the A100 SXM 40 GB, in a DGX A100",
  },
  {
    name: 'a100-80',
    memory: 80 * GB,
    memoryBandwidth: 2039 * GB,
    ...a100,
    source: "NVIDIA's data sheet of the A100 SXM 80 GB, in a DGX A100",
  },
  {
    name: 'h100',
    memory: 80 * GB,
    memoryBandwidth: 3350 * GB,
    ...hopper,
    source: "NVIDIA's data sheet of the H100 SXM, in a DGX H100",
  },
  {
    name: 'h200',
    memory: 141 * GB,
    memoryBandwidth: 4800 * GB,
    ...hopper,
    source: "NVIDIA's data sheet of the H200 SXM, in a DGX H200",
  },
]

/** The names of the kinds of devices that are known. */
const deviceNames: readonly string[] = kinds.map(({ name }) => name)

/** A known kind of device, in letters of either case. Throws a ConfigError that names all of them. */
export function deviceNamed(name: string): Device {
  const found = kinds.find(kind => kind.name === name.toLowerCase())
  if (found) return found
  throw new ConfigError(
    `there is no kind of device ${JSON.stringify(name)}: choose one of ${[...deviceNames, 'cpu'].join(', ')}`,
  )
}

/** Figures that replace those of a device. */
export interface DeviceOverrides {
  readonly memory?: number
  /** Peak operations per second, for every dtype. */
  readonly flops?: number
  /** Bytes per second in one direction between any two devices. */
  readonly interconnect?: number
}

/** A device with some of its figures replaced. Its source says which were given. */
export function withOverrides(device: Device, { memory, flops, interconnect }: DeviceOverrides): Device {
  const given = Object.entries({ memory, operations: flops, links: interconnect }).flatMap(([what, value]) =>
    value === undefined ? [] : [what],
  )
  return {
    ...device,
    memory: memory ?? device.memory,
    flops: flops === undefined ? device.flops : { bfloat16: flops, float32: flops },
    links: interconnect === undefined ? device.links : { kind: 'flat', bandwidth: interconnect },
    source: given.length === 0 ? device.source : `given: ${given.join(', ')}; the rest: ${device.source}`,
  }
}

/**
 * One of several devices that are threads of this machine's processor: they share its memory and its speed. `peak` is
 * the measured speed of all of them together, in float32.
 */
export const cpuDevice = (devices: number, peak: number, memory: number): Device => ({
  name: 'cpu',
  memory: memory / devices,
  flops: { bfloat16: peak / devices, float32: peak / devices },
  memoryBandwidth: (10 * GB) / devices,
  links: { kind: 'flat', bandwidth: (4 * GB) / devices },
  efficiency: 0.7,
  source: 'the speed of a large matrix product and the free memory of this machine, shared by all devices',
})
