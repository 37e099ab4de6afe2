/** Meshes and layouts in the dialect Shardy, XLA's partitioner. */
import type { Aval } from '../../../program/aval.js'
import { devicePositions, PartitionSpec } from '../../../program/sharding.js'
import type { Mesh, MeshAxis, Partition } from '../../../program/sharding.js'
import type { Program } from '../../../program/program.js'

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

/**
 * The attributes of main's inputs and results on a mesh. A donated input gives its memory to the first result of its
 * type and layout that has none yet.
 */
export function partitionedAttributes(
  program: Program,
  donated: readonly boolean[],
  { inputs, outputs }: Partition,
): { inputs: string[]; outputs: string[] } {
  const specOf = (spec: PartitionSpec | null): PartitionSpec => spec ?? new PartitionSpec()
  const ofInputs = program.inputs.map(({ aval }, i) => `sdy.sharding = ${shardingText(specOf(inputs[i]), aval)}`)
  const ofOutputs = program.outputs.map(({ aval }, i) => `sdy.sharding = ${shardingText(specOf(outputs[i]), aval)}`)
  const typesOut = program.outputs.map(({ aval }, i) => `${aval.dtype} ${aval.shape} ${ofOutputs[i]}`)
  const taken = new Set<number>()
  return {
    inputs: program.inputs.map(({ aval }, i) => {
      if (!donated[i]) return ` {${ofInputs[i]}}`
      const type = `${aval.dtype} ${aval.shape} ${ofInputs[i]}`
      const result = typesOut.findIndex((t, k) => t === type && !taken.has(k))
      taken.add(result)
      const memory = result < 0 ? 'jax.buffer_donor = true' : `tf.aliasing_output = ${result} : i32`
      return ` {${memory}, ${ofInputs[i]}}`
    }),
    outputs: ofOutputs.map(text => ` {${text}}`),
  }
}

/** The groups of devices that compute together along mesh axes: in each, the devices differ along these axes only. */
export function deviceGroups(mesh: Mesh, axes: readonly MeshAxis[]): number[][] {
  const groups = new Map<string, number[]>()
  devicePositions(mesh).forEach((position, device) => {
    const others = position.filter((_, i) => !axes.some(a => a.name === mesh.axes[i].name))
    const key = others.join()
    groups.set(key, [...(groups.get(key) ?? []), device])
  })
  return [...groups.values()].map(group =>
    group.toSorted((a, b) => numberAlong(mesh, axes, a) - numberAlong(mesh, axes, b)),
  )
}

/** The number of a device along some axes, the first of which is the outermost. */
function numberAlong(mesh: Mesh, axes: readonly MeshAxis[], device: number): number {
  const position = devicePositions(mesh)[device]
  return axes.reduce((n, a) => n * a.size + position[mesh.axes.findIndex(m => m.name === a.name)], 0)
}
