/** Over which mesh a program runs, and how its inputs are laid out. */
import { check, SwitchyardError } from '../../base/errors.js'
import { is } from '../program/program.js'
import type { Atom, Equation, Program } from '../program/program.js'
import { NamedSharding, sameMesh } from '../program/sharding.js'
import type { Mesh } from '../program/sharding.js'
import { subprograms } from '../program/subprograms.js'
import type { Backend, Partition } from './backend.js'

const meshes = new WeakMap<Program, Mesh | null>()

/** The mesh of a program's shardMaps and sharding constraints; null if it has none. */
export function meshOf(program: Program): Mesh | null {
  const known = meshes.get(program)
  if (known !== undefined) return known
  const mesh = program.equations.reduce<Mesh | null>((found, eqn) => common(found, meshOfEquation(eqn)), null)
  meshes.set(program, mesh)
  return mesh
}

const meshOfEquation = (eqn: Equation): Mesh | null => {
  if (is(eqn, 'shardMap')) return eqn.params.mesh
  if (is(eqn, 'shardingConstraint')) return eqn.params.sharding.mesh
  return subprograms(eqn).reduce<Mesh | null>((found, p) => common(found, meshOf(p)), null)
}

function common(a: Mesh | null, b: Mesh | null): Mesh | null {
  check(!a || !b || sameMesh(a, b), () => `one program runs on one mesh, but this one names ${a} and ${b}`)
  return a ?? b
}

/** Throws a SwitchyardError if the backend has too few devices for a mesh. */
export function checkDevices({ name, numDevices = 1 }: Backend, mesh: Mesh): void {
  if (mesh.size > numDevices)
    throw new SwitchyardError(
      `${mesh} needs ${mesh.size} devices, and the backend ${name} has ${numDevices}: ` +
        'make a smaller mesh, or set a backend that has as many (setBackend)',
    )
}

/**
 * How a program is partitioned: as asked for, or else over the mesh that its equations or its inputs name. An input
 * whose layout is not given keeps the one it has on that mesh. null: the program runs on one device. So do programs
 * that have a `shardMap` or sharding constraints where there are too few devices.
 */
export function partitionOf(
  { numDevices = 1 }: Backend,
  program: Program,
  given: Partition | null,
  shardings: readonly (NamedSharding | null)[],
): Partition | null {
  const ofProgram = meshOf(program)
  const mesh = given
    ? common(given.mesh, ofProgram)
    : (ofProgram ?? shardings.reduce<Mesh | null>((m, s) => common(m, s?.mesh ?? null), null))
  if (!mesh || mesh.size > numDevices) return null
  return {
    mesh,
    inputs: shardings.map((s, i) => given?.inputs[i] ?? (s && sameMesh(s.mesh, mesh) ? s.spec : null)),
    outputs: given?.outputs ?? program.outputs.map(() => null),
  }
}

/** Whether each device has all of an array. */
export const isEverywhere = ({ mesh, spec }: NamedSharding): boolean =>
  spec.axes.every(axis => mesh.axisSize(axis) === 1)

const layoutsOfResults = new WeakMap<Program, readonly (NamedSharding | null)[]>()

/** The layout of each result of a program, as far as a `shardMap` that returns it says. */
export function resultLayouts(program: Program): readonly (NamedSharding | null)[] {
  let layouts = layoutsOfResults.get(program)
  if (!layouts) layoutsOfResults.set(program, (layouts = findResultLayouts(program)))
  return layouts
}

function findResultLayouts(program: Program): (NamedSharding | null)[] {
  const known = new Map<Atom, NamedSharding>()
  for (const eqn of program.equations)
    if (is(eqn, 'shardMap'))
      eqn.outputs.forEach((o, i) => known.set(o, new NamedSharding(eqn.params.mesh, eqn.params.outSpecs[i])))
  return program.outputs.map(o => known.get(o) ?? null)
}

/** A text that is the same for equal partitions only. */
export const partitionKey = ({ mesh, inputs, outputs }: Partition): string => `${mesh} ${inputs} -> ${outputs}`
