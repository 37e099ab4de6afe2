/** Loops and branches inside programs. What their functions close over becomes an operand. */
import { check } from '../../../base/errors.js'
import { flatten, pathsOf, treeKey } from '../../../base/pytree.js'
import type { TreeDef } from '../../../base/pytree.js'
import { formatAval, sameAval } from '../../program/aval.js'
import type { Aval } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import { Program } from '../../program/program.js'
import { bind } from '../../program/trace.js'
import type { Value } from '../../program/value.js'
import { Tensor } from '../tensor.js'
import { arange } from '../np/creation.js'
import { flattenArgs, rebuild, share, traceTree } from '../tracing.js'
import type { TensorTree, TracedFunction } from '../tracing.js'
import { constant } from '../values.js'

export interface ScanOptions {
  /** The number of steps: needed when xs has no arrays. */
  length?: number
  /** From the last row to the first; the ys stand where their xs do. */
  reverse?: boolean
}

/**
 * A loop with state: f(carry, x) returns [the next carry, y]. x runs over the rows (axis 0) of the arrays in xs; returns
 * the last carry and the ys, stacked. The carry keeps its structure, shapes and dtypes. Differentiable in both modes.
 */
export function scan<C extends TensorTree, X extends TensorTree, Y extends TensorTree>(
  f: (carry: C, x: X) => [C, Y],
  init: C,
  xs: X,
  { length, reverse = false }: ScanOptions = {},
): [C, Y] {
  const carry = flattenArgs([init]).values
  const rows = flattenArgs([xs]).values
  const { values, def } = flattenArgs([init, xs])
  rows.forEach(x => check(x.ndim > 0, () => `scan: xs hold ${formatAval(x.aval)}, which has no rows to run over`))
  const steps = length ?? rows[0]?.shape[0]
  check(steps !== undefined, 'scan: give `length` when xs have no arrays')
  check(
    rows.every(x => x.shape[0] === steps),
    () => `scan: ${steps} steps do not fit xs of ${rows.map(x => formatAval(x.aval)).join(', ')}`,
  )
  const example = values.map((v, i) => (i < carry.length ? v.aval : { dtype: v.dtype, shape: v.shape.slice(1) }))
  const traced = traceTree(f, def, example)
  const [after, ys] = outputsOf(traced.outputDef, 'scan: the function must return [carry, y]')
  checkCarry(
    'scan',
    flatten(init).def,
    carry,
    after,
    traced.program.outputs.slice(0, carry.length).map(o => o.aval),
  )
  const { program, captured } = capturedFirst(traced, values.length)
  const results = bind('scan', [...captured, ...values], {
    body: program,
    numConsts: captured.length,
    numCarry: carry.length,
    length: steps,
    reverse,
  })
  return [rebuild<C>(after, results.slice(0, carry.length)), rebuild<Y>(ys, results.slice(carry.length))]
}

/** Repeats `body` while `condition` holds of the state, which keeps its structure, shapes and dtypes. Has no reverse derivative: the number of steps is not known. */
export function whileLoop<C extends TensorTree>(condition: (state: C) => Tensor, body: (state: C) => C, init: C): C {
  const { values, def } = flattenArgs([init])
  const test = traceTree(condition, def, values)
  const [result] = test.program.outputs
  check(
    test.outputDef.kind === 'leaf' && sameAval(result.aval, { dtype: 'bool', shape: [] }),
    () =>
      `whileLoop: the condition must return one bool scalar, not ${test.program.outputs.map(o => formatAval(o.aval)).join(', ')}`,
  )
  const step = traceTree(body, def, values)
  const state = flatten(init).def
  checkCarry(
    'whileLoop',
    state,
    values,
    step.outputDef,
    step.program.outputs.map(o => o.aval),
  )
  const [first, second] = [test, step].map(t => capturedFirst(t, values.length))
  return rebuild<C>(
    state,
    bind('while', [...first.captured, ...second.captured, ...values], {
      condition: first.program,
      body: second.program,
      numConditionConsts: first.captured.length,
      numBodyConsts: second.captured.length,
    }),
  )
}

/**
 * state = body(i, state) for i = low, ..., high - 1 (int32). With numbers as bounds it is a scan, which has derivatives;
 * with arrays (int32 scalars) a while loop, which has none in reverse mode.
 */
export function foriLoop<C extends TensorTree>(
  low: number | Tensor,
  high: number | Tensor,
  body: (i: Tensor, state: C) => C,
  init: C,
): C {
  if (typeof low === 'number' && typeof high === 'number') {
    return scan((state: C, i: Tensor): [C, null] => [body(i, state), null], init, arange(low, Math.max(low, high)))[0]
  }
  const [start, end] = [low, high].map(n => {
    const bound = n instanceof Tensor ? n.value : constant(n, 'int32')
    check(
      sameAval(bound.aval, { dtype: 'int32', shape: [] }),
      () => `foriLoop: the bounds are int32 scalars, not ${formatAval(bound.aval)}`,
    )
    return new Tensor(bound)
  })
  return whileLoop<{ i: Tensor; state: C }>(
    ({ i }) => new Tensor(ops.lt(i.value, end.value)),
    ({ i, state }) => ({ i: new Tensor(ops.add(i.value, 1)), state: body(i, state) }),
    { i: start, state: init },
  ).state
}

/** pred ? onTrue(...operands) : onFalse(...operands), of which only one is run. `pred` is a bool scalar. */
export function cond<A extends TensorTree[], R extends TensorTree>(
  pred: Tensor,
  onTrue: (...operands: A) => R,
  onFalse: (...operands: A) => R,
  ...operands: A
): R {
  check(
    sameAval(pred.value.aval, { dtype: 'bool', shape: [] }),
    () => `cond: the predicate must be a bool scalar, not ${pred}`,
  )
  return branch(ops.convertElementType(pred.value, 'int32'), [onFalse, onTrue], operands)
}

/** branches[index](...operands), the only one that is run. `index` is an int32 scalar, moved into bounds. */
export function switchBranch<A extends TensorTree[], R extends TensorTree>(
  index: Tensor,
  branches: readonly ((...operands: A) => R)[],
  ...operands: A
): R {
  check(branches.length > 0, 'switchBranch needs a branch or more')
  check(
    sameAval(index.value.aval, { dtype: 'int32', shape: [] }),
    () => `switchBranch: the index must be an int32 scalar, not ${index}`,
  )
  return branch(index.value, branches, operands)
}

function branch<A extends TensorTree[], R extends TensorTree>(
  index: Value,
  branches: readonly ((...operands: A) => R)[],
  operands: A,
): R {
  const { values, def } = flattenArgs(operands)
  const traced = branches.map(f => traceTree(f, def, values))
  const [{ outputDef }] = traced
  for (const other of traced) {
    check(
      treeKey(other.outputDef) === treeKey(outputDef),
      () => `the branches return different structures: ${treeKey(outputDef)} and ${treeKey(other.outputDef)}`,
    )
  }
  const all = [...new Set(traced.flatMap(t => t.captured))]
  return rebuild<R>(
    outputDef,
    bind('cond', [index, ...values, ...all], { branches: traced.map(t => share(t, values.length, all)) }),
  )
}

/** The structures of the two things that a function returns. */
function outputsOf(def: TreeDef, message: string): [TreeDef, TreeDef] {
  check(def.kind === 'list' && def.items.length === 2, message)
  return [def.items[0], def.items[1]]
}

/** Loops keep their state's structure and types. */
function checkCarry(
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

/** The program with its hidden inputs before the declared ones, as loops have them. */
function capturedFirst(
  { program, captured }: TracedFunction,
  numDeclared: number,
): { program: Program; captured: Value[] } {
  const inputs = [...program.inputs.slice(numDeclared), ...program.inputs.slice(0, numDeclared)]
  return { program: new Program(inputs, program.equations, program.outputs), captured }
}
