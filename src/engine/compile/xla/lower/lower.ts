import type { PrimitiveName } from '../../../program/primitives.js'
import { Lit } from '../../../program/program.js'
import type { Atom, PrimitiveParams, Program, Var } from '../../../program/program.js'
import type { Partition } from '../../../program/sharding.js'
import { aliasesOf } from './aliases.js'
import { ModuleWriter } from './module.js'
import { programRules } from './rules/composites.js'
import { dotGeneral } from './rules/contraction.js'
import { controlRules } from './rules/control.js'
import { deviceRules } from './rules/devices.js'
import { elementwiseRules } from './rules/elementwise.js'
import { indexingRules } from './rules/indexing.js'
import { orderRules } from './rules/order.js'
import { threefry2x32 } from './rules/random.js'
import { reduceRules } from './rules/reduce.js'
import type { Lowering, LoweringContext } from './rules/rule.js'
import { structureRules } from './rules/structure.js'
import { partitionedAttributes } from './shardy.js'
import type { BlockWriter, Lowered } from './writer.js'

export interface LoweringOptions {
  /** The inputs whose memory the results may take. */
  donated?: readonly boolean[]
  /** The mesh of devices that run the program, and its layouts. Left out for a program of one device. */
  partition?: Partition
}

/** A program as the text of a StableHLO module, with the function `main`. */
export function toStableHlo(program: Program, { donated = [], partition }: LoweringOptions = {}): string {
  // XLA partitions no program for one device.
  const isPartitioned = partition !== undefined && partition.mesh.size > 1
  const module = new ModuleWriter(writeProgram, isPartitioned ? partition.mesh : null)
  if (isPartitioned) {
    const { inputs, outputs } = partitionedAttributes(program, donated, partition)
    module.main(program, inputs, outputs)
  } else module.main(program, aliasesOf(program, donated))
  return module.text
}

/** The rule of every primitive: one that has no rule in any of the tables is a type error here. */
const lowerings: { readonly [P in PrimitiveName]: Lowering<P> } = {
  ...elementwiseRules,
  ...structureRules,
  ...reduceRules,
  dotGeneral,
  ...indexingRules,
  ...orderRules,
  threefry2x32,
  ...programRules,
  ...controlRules,
  ...deviceRules,
}

/** Writes the equations of a program into a block; returns its outputs. */
function writeProgram(
  module: ModuleWriter,
  block: BlockWriter,
  program: Program,
  inputs: readonly Lowered[],
): Lowered[] {
  const env = new Map<Var, Lowered>()
  const read = (a: Atom): Lowered => (a instanceof Lit ? block.constant(a.value, a.aval) : env.get(a)!)
  program.inputs.forEach((v, i) => env.set(v, inputs[i]))
  for (const eqn of program.equations) {
    const outs = eqn.outputs.map(o => o.aval)
    const results = writeEquation({ module, block, outs }, eqn.primitive, eqn.inputs.map(read), eqn.params)
    eqn.outputs.forEach((v, i) => env.set(v, results[i]))
  }
  return program.outputs.map(read)
}

const writeEquation = <P extends PrimitiveName>(
  context: LoweringContext,
  primitive: P,
  inputs: readonly Lowered[],
  params: PrimitiveParams[P],
): readonly Lowered[] => lowerings[primitive](context, inputs, params)
