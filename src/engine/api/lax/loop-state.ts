/**
 * The state that a loop carries from step to step: the dtypes of bare numbers in it, and checks that a step keeps its
 * type.
 */
import { isFloat, isInteger } from '../../../base/dtypes.js'
import type { DType } from '../../../base/dtypes.js'
import { check } from '../../../base/errors.js'
import { flatten, pathsOf, treeKey, unflatten } from '../../../base/pytree.js'
import type { TreeDef } from '../../../base/pytree.js'
import { formatAval, sameAval } from '../../program/aval.js'
import type { Aval } from '../../program/aval.js'
import type { Value } from '../../program/value.js'
import { checkFunction, valueOf } from '../arguments.js'
import { Tensor } from '../tensor.js'
import { flattenArgs, traceTree } from '../tracing.js'
import type { TensorTree, TracedFunction } from '../tracing.js'

/** The body of a loop, traced, and the initial state with the types that the body keeps. */
interface TracedBody {
  traced: TracedFunction
  state: Value[]
}

/** Each trace can raise the dtype of a bare number once, and there are few dtypes between int32 and float32. */
const MAX_TRACES = 4

/**
 * Traces a loop's body on the initial state followed by `rest`. A bare number in the state is weakly typed, as in JAX:
 * a whole number begins as int32, a fraction as float32, and if the body returns another dtype for it that can hold it,
 * it takes that dtype and the body is traced again. A bare number that the body returns takes the dtype of the state
 * there.
 */
export function traceBody<A extends TensorTree[]>(
  loop: string,
  body: (...args: A) => TensorTree,
  init: TensorTree,
  def: TreeDef,
  rest: readonly Aval[] = [],
  who = loop,
): TracedBody {
  checkFunction(body, `${who}: the function`)
  const leaves: readonly unknown[] = flatten<unknown>(init as never).leaves
  const what = `${loop}: a number in the state`
  let state = flattenArgs([init], loop).values.map((v, i) => {
    const leaf = leaves[i]
    return typeof leaf === 'number' && isInt32(leaf) ? valueOf(leaf, what, 'int32') : v
  })
  for (let traces = 1; ; traces++) {
    const dtypes = state.map(v => v.dtype)
    const traced = traceTree(
      (...args: A) => withDtypes(body(...args), dtypes),
      def,
      [...state.map(v => v.aval), ...rest],
      who,
      body.name,
    )
    const next = state.map((v, i) => {
      const [leaf, returned] = [leaves[i], traced.program.outputs.at(i)?.aval.dtype]
      if (typeof leaf !== 'number' || returned === undefined || returned === v.dtype) return v
      return isHeldBy(leaf, returned) ? valueOf(leaf, what, returned) : v
    })
    if (traces === MAX_TRACES || next.every((v, i) => v === state[i])) return { traced, state }
    state = next
  }
}

const isInt32 = (x: number): boolean => Number.isInteger(x) && Math.abs(x) < 2 ** 31

/** Whether a weakly typed number may take a dtype: a whole number any but bool, a fraction floating point only. */
const isHeldBy = (x: number, dtype: DType): boolean => isFloat(dtype) || (isInteger(dtype) && Number.isInteger(x))

/**
 * The tree that a body returns, with bare numbers in its leading leaves (the next state) as arrays of the given dtypes.
 */
function withDtypes(returned: TensorTree, dtypes: readonly DType[]): TensorTree {
  const { leaves, def } = flatten<unknown>(returned as never)
  const typed = leaves.map((leaf, i) =>
    typeof leaf === 'number' && i < dtypes.length && isHeldBy(leaf, dtypes[i])
      ? new Tensor(valueOf(leaf, 'a returned number', dtypes[i]))
      : leaf,
  )
  return unflatten(def, typed) as TensorTree
}

/** Throws a ShapeError unless a step keeps the structure and the types of the loop's state. */
export function checkState(
  loop: string,
  def: TreeDef,
  before: readonly Aval[] | readonly Value[],
  afterDef: TreeDef,
  after: readonly Aval[],
): void {
  check(
    treeKey(def) === treeKey(afterDef),
    () => `${loop}: the state has the structure ${treeKey(def)} before a step and ${treeKey(afterDef)} after it`,
  )
  const paths = pathsOf(def)
  before.forEach((b, i) =>
    check(
      sameAval(b, after[i]),
      () =>
        `${loop}: the state${paths[i] && ` ${paths[i]}`} is ${formatAval(b)} before a step and ${formatAval(after[i])} after it`,
    ),
  )
}
