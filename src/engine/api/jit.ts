import { treeKey } from '../../base/pytree.js'
import { formatAval } from '../program/aval.js'
import { bind } from '../program/trace.js'
import { flattenArgs, rebuild, traceTree } from './tracing.js'
import type { ArrayTree, TracedFunction } from './tracing.js'

/**
 * Compiles a function: it is traced once for each structure, shape and dtype of its arguments, then run whole.
 * Inside another traced function it leaves a `call`.
 */
export function jit<A extends ArrayTree[], R extends ArrayTree>(f: (...args: A) => R): (...args: A) => R {
  const cache = new Map<string, TracedFunction>()
  return (...args) => {
    const { values, def } = flattenArgs(args)
    const key = `${treeKey(def)} ${values.map(v => formatAval(v.aval)).join(' ')}`
    let traced = cache.get(key)
    if (!traced) {
      traced = traceTree(f, def, values)
      // A function that closes over another function's tracer is only good inside that one.
      if (traced.captured.every(v => v.evaluator !== null)) cache.set(key, traced)
    }
    const { program, captured, outputDef } = traced
    return rebuild<R>(outputDef, bind('call', [...values, ...captured], { name: f.name || 'f', program, remat: false }))
  }
}
