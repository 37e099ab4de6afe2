import { aval } from '../../program/aval.js'
import type { Aval } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import { is, Lit } from '../../program/program.js'
import type { Atom, Equation, Program } from '../../program/program.js'
import { bind, evalProgram, traceClosed } from '../../program/trace.js'
import { Literal } from '../../program/value.js'
import type { Value } from '../../program/value.js'
import { isGrouped } from './regions.js'
import type { PagedValue, Region } from './regions.js'

/**
 * A region for one group with `numRows` rows. Inputs: the region's `rows`, `scalars`, parts of its `arrays`, then the
 * parts of `paged` as they are stored. Outputs: the region's, [numRows, ...].
 */
export function groupProgram(region: Region, numRows: number): Program {
  const { rows, scalars, arrays, paged } = region
  const resized = ({ dtype, shape }: Aval): Aval => aval(dtype, [numRows, ...shape.slice(1)])
  const types = [
    ...rows.map(v => resized(v.aval)),
    ...scalars.map(v => v.aval),
    ...arrays.map(v => aval(v.aval.dtype, v.aval.shape.slice(1))),
    ...paged.map(([, { buffer }]) => buffer.pages.parts[buffer.part]),
  ]
  return traceClosed(types, inputs => {
    const env = new Map<Atom, Value>([...rows, ...scalars, ...arrays].map((v, i) => [v, inputs[i]]))
    const stored = inputs.slice(env.size)
    paged.forEach(([v, value], i) => env.set(v, kernelOf(value, stored[i])))
    evalRows([...region.fills, ...region.equations], env, numRows)
    return region.outputs.map(o => env.get(o)!)
  })
}

/** A part of a paged array, from how it is stored. */
function kernelOf({ buffer, dtypes }: PagedValue, stored: Value): Value {
  const { isTransposed } = buffer.pages.parts[buffer.part]
  const last = stored.ndim - 1
  const axes = ops.range(stored.ndim)
  const part = isTransposed ? ops.transpose(stored, [...axes.slice(0, -2), last, last - 1]) : stored
  return dtypes.reduce((x, dtype) => ops.convertElementType(x, dtype), part)
}

/** Applies equations of rows to values that have `numRows` rows. Adds their results to `env`. */
function evalRows(equations: readonly Equation[], env: Map<Atom, Value>, numRows: number): void {
  const read = (a: Atom): Value => (a instanceof Lit ? new Literal(a.value, a.aval.dtype) : env.get(a)!)
  for (const eqn of equations) {
    const results = evalEquation(eqn, eqn.inputs, read, numRows)
    eqn.outputs.forEach((o, i) => env.set(o, results[i]))
  }
}

function evalEquation(eqn: Equation, inputs: readonly Atom[], read: (a: Atom) => Value, numRows: number): Value[] {
  if (isGrouped(eqn)) {
    const operands = inputs.slice(0, -1).map(read)
    return evalProgram(eqn.params.ofGroup!(operands.map(v => v.aval)), operands)
  }
  const operands = inputs.map(read)
  if (is(eqn, 'broadcastInDim'))
    return [ops.broadcastInDim(operands[0], [numRows, ...eqn.params.shape.slice(1)], eqn.params.dims)]
  if (!is(eqn, 'composite')) return bind(eqn.primitive, operands, eqn.params)
  const { name, attributes, program } = eqn.params
  const resized = traceClosed(
    operands.map(v => v.aval),
    values => {
      const env = new Map<Atom, Value>(program.inputs.map((v, i) => [v, values[i]]))
      evalRows(program.equations, env, numRows)
      return program.outputs.map(o => (o instanceof Lit ? new Literal(o.value, o.aval.dtype) : env.get(o)!))
    },
  )
  return bind('composite', operands, { name, ...(attributes && { attributes }), program: resized })
}
