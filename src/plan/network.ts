import type { Links } from './devices.js'

/** A group of devices that communicate with each other: an axis of a mesh, or several axes together. */
export interface DeviceGroup {
  readonly size: number
  /** The distance of two neighbours of the group in the order of all devices: the sizes of the axes inside of it. */
  readonly stride: number
}

/** The share of a link's bandwidth that large collectives reach. */
export const LINK_EFFICIENCY = 0.8
/** Seconds that each doubling of a group's size adds to a collective, however little it sends. */
export const LATENCY = 5e-6

/** The bytes that each device sends in an all-reduce of an array, by a reduce-scatter and an all-gather. */
export const allReduceBytes = (bytes: number, size: number): number => (2 * bytes * (size - 1)) / size

/** The bytes that each device sends in an all-to-all of an array: all but its own part. */
export const allToAllBytes = (bytes: number, size: number): number => (bytes * (size - 1)) / size

/** Seconds in which each device of a group sends these bytes around a ring: all-reduce, all-gather, reduce-scatter. */
export const ringSeconds = (links: Links, group: DeviceGroup, devices: number, bytes: number): number =>
  seconds(bytes, ringBandwidth(links, group, devices), group)

/** Seconds in which each device of a group sends these bytes to all others in equal parts. */
export const allToAllSeconds = (links: Links, group: DeviceGroup, devices: number, bytes: number): number =>
  seconds(bytes, allToAllBandwidth(links, group, devices), group)

const seconds = (bytes: number, bandwidth: number, { size }: DeviceGroup): number =>
  size === 1 || bytes === 0 ? 0 : bytes / (LINK_EFFICIENCY * bandwidth) + LATENCY * Math.ceil(Math.log2(size))

/** Bytes per second that each device of a group can send along a ring, while all other groups do the same. */
function ringBandwidth(links: Links, group: DeviceGroup, devices: number): number {
  switch (links.kind) {
    case 'flat':
      return links.bandwidth
    case 'nodes':
      // In a group that spans nodes, the devices of a node share the sum of their adapters.
      return group.stride * group.size <= links.size
        ? links.link
        : Math.min(links.link, links.network * Math.max(1, links.size / group.stride))
    case 'torus': {
      const { dimensions } = chipsOf(links, group, devices)
      return (2 * dimensions * links.link) / Math.min(links.devicesPerChip, group.stride)
    }
  }
}

/** Bytes per second that each device of a group can send to all others. */
function allToAllBandwidth(links: Links, group: DeviceGroup, devices: number): number {
  switch (links.kind) {
    case 'flat':
      return links.bandwidth
    case 'nodes': {
      const inNode = Math.max(1, Math.min(group.size, Math.floor(links.size / group.stride)))
      const outside = (group.size - inNode) / Math.max(1, group.size - 1)
      return Math.min(links.link, links.network / outside)
    }
    case 'torus': {
      // Half of all bytes cross the middle of a torus of k chips a side: k / 8 of a chip's bytes on each of its links.
      const { chips, dimensions } = chipsOf(links, group, devices)
      const side = chips ** (1 / dimensions)
      return Math.min(2 * dimensions * links.link, (8 * links.link) / side) / links.devicesPerChip
    }
  }
}

/** The chips of a torus that a group spans, and in how many dimensions. */
function chipsOf(
  { dimensions, devicesPerChip }: Extract<Links, { kind: 'torus' }>,
  { size, stride }: DeviceGroup,
  devices: number,
): { chips: number; dimensions: number } {
  const chips = Math.max(1, (size * Math.min(stride, devicesPerChip)) / devicesPerChip)
  const side = Math.max(2, (devices / devicesPerChip) ** (1 / dimensions))
  const spanned = Math.round(Math.log(Math.max(2, chips)) / Math.log(side))
  return { chips, dimensions: Math.min(dimensions, Math.max(1, spanned)) }
}
