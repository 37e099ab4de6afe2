import { bind } from '../program/trace.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { TensorTree } from './tracing.js'

/**
 * The same function, but reverse mode keeps only its arguments (and the arrays it closes over) and computes all
 * intermediate values again in the backward pass: less memory for more time. What depends on the arguments is computed
 * when the backward pass arrives at the function, and not before; so pass activations as arguments, and let the
 * function close over parameters. Chen et al., "Training deep nets with sublinear memory cost" (2016).
 */
export function remat<A extends TensorTree[], R extends TensorTree>(f: (...args: A) => R): (...args: A) => R {
  return (...args) => {
    const { values, def } = flattenArgs(args, 'remat')
    const { program, captured, outputDef } = traceTree(f, def, values, 'remat')
    return rebuild<R>(
      outputDef,
      bind('call', [...values, ...captured], {
        name: f.name || 'remat',
        program,
        remat: true,
        numLate: values.length,
      }),
    )
  }
}
