/**
 * How arrays are laid out over several devices: meshes, specs, and the parts of an array that they define. Plain data:
 * which devices a mesh stands for is the backend's business.
 */
import { check } from '../../base/errors.js'
import { sizeOf } from '../../base/host-tensor.js'

/** A named axis and the number of devices along it. */
export interface MeshAxis {
  readonly name: string
  readonly size: number
}

/**
 * A grid of devices with named axes, as in JAX: `new Mesh({ data: 2, expert: 4 })` has 8 devices. Device number i is
 * the one at position i of the grid in row-major order: the last axis varies fastest.
 */
export class Mesh {
  readonly axes: readonly MeshAxis[]

  /** `sizes`: the number of devices along each axis, in order. */
  constructor(sizes: { readonly [axis: string]: number }) {
    this.axes = Object.entries(sizes).map(([name, size]) => {
      check(/^[A-Za-z_]\w*$/.test(name), () => `a mesh axis is named by a word, such as data, not "${name}"`)
      check(Number.isInteger(size) && size > 0, () => `mesh axis ${name} must have 1 device or more, not ${size}`)
      return { name, size }
    })
  }

  /** The number of devices. */
  get size(): number {
    return sizeOf(this.axes.map(a => a.size))
  }

  /** The number of devices along an axis. Throws a ShapeError if the mesh has no such axis. */
  axisSize(name: string): number {
    const axis = this.axes.find(a => a.name === name)
    check(axis !== undefined, () => `${this} has no axis ${name}`)
    return axis.size
  }

  /** `mesh(data=2, expert=4)`. Equal meshes have equal texts. */
  toString(): string {
    return `mesh(${this.axes.map(a => `${a.name}=${a.size}`).join(', ')})`
  }
}

/**
 * One dimension of a spec: the mesh axis over which the dimension is split, a list of several (the first is the
 * outermost), or null for a dimension that is not split.
 */
export type SpecEntry = string | null | readonly string[]

/**
 * Over which mesh axes each dimension of an array is split, as in JAX: `new PartitionSpec('data', null)` splits
 * dimension 0 over the mesh axis data. Dimensions without an entry are not split. Along mesh axes that the spec does
 * not name, every device has a copy.
 */
export class PartitionSpec {
  /** The mesh axes of each dimension; without trailing dimensions that are not split. */
  readonly dims: readonly (readonly string[])[]

  constructor(...entries: readonly SpecEntry[]) {
    const dims = entries.map(entry => (entry === null ? [] : typeof entry === 'string' ? [entry] : [...entry]))
    const axes = dims.flat()
    const repeated = axes.find((a, i) => axes.indexOf(a) !== i)
    check(repeated === undefined, () => `a spec can split only one dimension over the mesh axis ${repeated}`)
    while (dims.length > 0 && dims[dims.length - 1].length === 0) dims.pop()
    this.dims = dims
  }

  /** The mesh axes that the spec names. */
  get axes(): string[] {
    return this.dims.flat()
  }

  /** `P(data, (data, expert), null)`. Equal specs have equal texts. */
  toString(): string {
    return `P(${this.dims.map(d => (d.length === 0 ? 'null' : d.length === 1 ? d[0] : `(${d.join(', ')})`)).join(', ')})`
  }
}

/** A PartitionSpec: `P('data', null)`. */
export const P = (...entries: readonly SpecEntry[]): PartitionSpec => new PartitionSpec(...entries)

/** A mesh, and how an array is split over it: JAX's NamedSharding. Throws a ShapeError if the mesh has no such axis. */
export class NamedSharding {
  constructor(
    readonly mesh: Mesh,
    readonly spec: PartitionSpec,
  ) {
    for (const axis of spec.axes) mesh.axisSize(axis)
  }

  toString(): string {
    return `${this.spec} over ${this.mesh}`
  }
}

/** How a program is partitioned over the devices of a mesh. Every device runs it, on its parts of the arrays. */
export interface Partition {
  readonly mesh: Mesh
  /** Which part of each input a device gets. null: all of it. */
  readonly inputs: readonly (PartitionSpec | null)[]
  /** Which part of each result a device keeps. null: the backend chooses, see `Executable.shardings`. */
  readonly outputs: readonly (PartitionSpec | null)[]
}

export const sameMesh = (a: Mesh, b: Mesh): boolean => a === b || String(a) === String(b)
export const sameSharding = (a: NamedSharding, b: NamedSharding): boolean =>
  sameMesh(a.mesh, b.mesh) && String(a.spec) === String(b.spec)

/**
 * The shape of each device's part of an array. Throws a ShapeError if the spec does not fit the array or the mesh: all
 * parts have one shape, so each dimension must be divisible by the number of devices that it is split over.
 */
export function shardShape(shape: readonly number[], { mesh, spec }: NamedSharding): number[] {
  check(
    spec.dims.length <= shape.length,
    () => `${spec} has ${spec.dims.length} dimensions, but the array [${shape}] has ${shape.length}`,
  )
  return shape.map((size, dim) => {
    const axes = spec.dims[dim] ?? []
    const parts = sizeOf(axes.map(a => mesh.axisSize(a)))
    check(
      size % parts === 0,
      () =>
        `dimension ${dim} of the array [${shape}] has ${size} elements, which cannot be split evenly over the ` +
        `${parts} devices of mesh axis ${axes.join(', ')}: make it a multiple of ${parts}, or leave it whole`,
    )
    return size / parts
  })
}

/** The shape of an array, from that of each device's part: the inverse of `shardShape`. */
export function wholeShape(part: readonly number[], { mesh, spec }: NamedSharding): number[] {
  check(
    spec.dims.length <= part.length,
    () => `${spec} has ${spec.dims.length} dimensions, but the array [${part}] has ${part.length}`,
  )
  return part.map((size, dim) => size * sizeOf((spec.dims[dim] ?? []).map(a => mesh.axisSize(a))))
}

/** The position of each device on the mesh: one coordinate for each axis, for devices 0, 1, .... */
export function devicePositions(mesh: Mesh): number[][] {
  return mesh.axes.reduce<number[][]>(
    (positions, { size }) => positions.flatMap(p => Array.from({ length: size }, (_, i) => [...p, i])),
    [[]],
  )
}

/**
 * The devices that differ along these axes alone, in groups: those of a group by their number along the axes, the first
 * of which is the outermost.
 */
export function deviceGroups(mesh: Mesh, axes: readonly string[]): number[][] {
  const groups = new Map<string, number[]>()
  const positions = devicePositions(mesh)
  const places = axes.map(axis => mesh.axes.findIndex(a => a.name === axis))
  const numberAlong = (device: number): number =>
    places.reduce((n, place) => n * mesh.axes[place].size + positions[device][place], 0)
  positions.forEach((position, device) => {
    const key = position.filter((_, i) => !places.includes(i)).join()
    groups.set(key, [...(groups.get(key) ?? []), device])
  })
  return [...groups.values()].map(group => group.toSorted((a, b) => numberAlong(a) - numberAlong(b)))
}

/** The index at which each device's part of an array begins, for devices 0, 1, ...: see `shardShape` for its shape. */
export function shardStarts(shape: readonly number[], sharding: NamedSharding): number[][] {
  const { mesh, spec } = sharding
  const part = shardShape(shape, sharding)
  const places = new Map(mesh.axes.map((a, i) => [a.name, i]))
  return devicePositions(mesh).map(position =>
    part.map((size, dim) => {
      const number = (spec.dims[dim] ?? []).reduce(
        (n, axis) => n * mesh.axisSize(axis) + position[places.get(axis)!],
        0,
      )
      return number * size
    }),
  )
}
