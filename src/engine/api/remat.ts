import { bind } from '../program/trace.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { TensorTree } from './tracing.js'

/**
 * The same function, but reverse mode keeps only its arguments (and the arrays it closes over) and computes all
 * intermediate values again in the backward pass: less memory for more time. Chen et al., "Training deep nets with
 * sublinear memory cost" (2016).
 */
export function remat<A extends TensorTree[], R extends TensorTree>(f: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    const { values, def } = flattenArgs(args, 'remat')
    const { program, captured, outputDef } = traceTree(f, def, values, 'remat')
    return rebuild<R>(
      outputDef,
      bind('call', [...values, ...captured], { name: f.name || 'remat', program, remat: true }),
    )
  }
}
