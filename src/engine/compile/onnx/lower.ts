import { hostScalar } from '../../../base/host-tensor.js'
import type { Aval } from '../../program/aval.js'
import type { PrimitiveName } from '../../program/primitives.js'
import type { Atom, PrimitiveParams, Program, Var } from '../../program/program.js'
import { Lit } from '../../program/program.js'
import { GraphWriter } from './graph.js'
import type { Lowered } from './graph.js'
import { composite } from './rules/composites.js'
import { dotGeneral } from './rules/contraction.js'
import * as control from './rules/control.js'
import { convertElementType } from './rules/convert.js'
import { elementwiseRules } from './rules/elementwise.js'
import { gather, scatter } from './rules/indexing.js'
import { threefry2x32 } from './rules/random.js'
import { cumsum, reduceRules } from './rules/reduce.js'
import type { Lowering } from './rules/rule.js'
import { sort, topK } from './rules/sort.js'
import * as structure from './rules/structure.js'
import { computedAs } from './widen.js'

/** Writes a program's equations into a graph; returns its outputs, broadcast to their full shapes. */
export function lowerProgram(g: GraphWriter, program: Program, inputs: readonly Lowered[]): Lowered[] {
  const env = new Map<Var, Lowered>()
  const read = (a: Atom): Lowered => (a instanceof Lit ? constant(g, a) : env.get(a)!)
  program.inputs.forEach((v, i) => env.set(v, inputs[i]))
  for (const eqn of program.equations) {
    const outputs = lowerEquation(
      g,
      eqn.primitive,
      eqn.inputs.map(read),
      eqn.params,
      eqn.inputs.map(a => a.aval),
      eqn.outputs.map(o => o.aval),
    )
    eqn.outputs.forEach((v, i) => env.set(v, outputs[i]))
  }
  return program.outputs.map(o => g.expand(read(o), o.aval.shape))
}

const constant = (g: GraphWriter, { value, aval: { dtype } }: Lit): Lowered => g.constant(hostScalar(dtype, value))

/**
 * Writes one equation. If ONNX Runtime cannot compute in the operands' type, they are cast to a wider one, and the
 * results are cast back, rounded or wrapped. `ins` and `outs`: the types of operands and results in the program.
 */
function lowerEquation<P extends PrimitiveName>(
  g: GraphWriter,
  primitive: P,
  inputs: readonly Lowered[],
  params: PrimitiveParams[P],
  ins: readonly Aval[],
  outs: readonly Aval[],
): Lowered[] {
  const rule = lowerings[primitive] as Lowering<P>
  const wide = (a: Aval): Aval => ({ dtype: computedAs(primitive, a.dtype), shape: a.shape })
  const context = { g, ins: ins.map(wide), outs: outs.map(wide), resultDType: outs[0]?.dtype, inline: lowerProgram }
  const results = rule(
    context,
    inputs.map((x, i) => g.cast(x, context.ins[i].dtype)),
    params,
  )
  return results.map((y, i) => g.cast(y, outs[i].dtype))
}

/** `onOneDevice` has replaced the primitives about several devices. */
const expandedBefore = (): never => {
  throw new Error('a primitive about several devices in an ONNX graph')
}

/** The rule of every primitive. */
const lowerings: { [P in PrimitiveName]: Lowering<P> } = {
  ...elementwiseRules,
  convertElementType,
  bitcastConvertType: ({ g }, [x], { dtype }) => [g.bitcast(x, dtype)],
  broadcastInDim: structure.broadcastInDim,
  reshape: structure.reshape,
  transpose: structure.transpose,
  concatenate: structure.concatenate,
  pad: structure.pad,
  slice: structure.slice,
  rev: structure.rev,
  iota: structure.iota,
  dynamicSlice: structure.dynamicSlice,
  dynamicUpdateSlice: structure.dynamicUpdateSlice,
  ...reduceRules,
  cumsum,
  dotGeneral,
  gather,
  scatter: scatter('none'),
  scatterAdd: scatter('add'),
  sort,
  topK,
  threefry2x32,
  call: control.inlined,
  composite,
  linearCall: control.inlined,
  scan: control.scan,
  while: control.whileLoop,
  cond: control.cond,
  shardingConstraint: expandedBefore,
  shardMap: expandedBefore,
  psum: expandedBefore,
  allGather: expandedBefore,
  reduceScatter: expandedBefore,
  allToAll: expandedBefore,
  ppermute: expandedBefore,
  axisIndex: expandedBefore,
}
