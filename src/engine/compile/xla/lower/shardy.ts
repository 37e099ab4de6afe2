/** Meshes and layouts in the dialect Shardy, XLA's partitioner. */
import type { Aval } from '../../../program/aval.js'
import { PartitionSpec } from '../../../program/sharding.js'
import type { Mesh, Partition } from '../../../program/sharding.js'
import type { Atom, Program } from '../../../program/program.js'

/** The declaration of the module's mesh, which layouts refer to as `@mesh`. */
export const meshText = ({ axes }: Mesh): string =>
  `  sdy.mesh @mesh = <[${axes.map(a => `"${a.name}"=${a.size}`).join(', ')}]>\n`

/** `<@mesh, [{"data"}, {}]>`: the layout of an array of `ndim` dimensions. */
const layoutText = ({ dims }: PartitionSpec, ndim: number): string => {
  const entries = Array.from({ length: ndim }, (_, i) => `{${(dims[i] ?? []).map(a => `"${a}"`).join(', ')}}`)
  return `<@mesh, [${entries.join(', ')}]>`
}

/** The layout of one array as an attribute. */
export const shardingText = (spec: PartitionSpec, { shape }: Aval): string =>
  `#sdy.sharding${layoutText(spec, shape.length)}`

/** The layouts of several arrays as one attribute. */
export const shardingsText = (specs: readonly PartitionSpec[], types: readonly Aval[]): string =>
  `#sdy.sharding_per_value<[${specs.map((spec, i) => layoutText(spec, types[i].shape.length)).join(', ')}]>`

/** A region's axes along which the devices compute different things. */
export const manualAxesText = ({ axes }: Mesh): string =>
  `#sdy<manual_axes{${axes.map(a => `"${a.name}"`).join(', ')}}>`

/** The attributes with the layouts of main's inputs and results on a mesh. */
export interface LayoutTexts {
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
}

/** The layouts of a program's inputs and results. null in a partition: all of the array on each device. */
export function layoutTexts(program: Program, { inputs, outputs }: Partition): LayoutTexts {
  const text = ({ aval }: Atom, spec: PartitionSpec | null): string =>
    `sdy.sharding = ${shardingText(spec ?? new PartitionSpec(), aval)}`
  return {
    inputs: program.inputs.map((v, i) => text(v, inputs[i])),
    outputs: program.outputs.map((o, i) => text(o, outputs[i])),
  }
}
