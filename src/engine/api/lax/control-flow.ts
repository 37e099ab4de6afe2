/** Loops and branches inside programs. Arrays that their functions close over become operands. */
import { check } from '../../../base/errors.js'
import { flatten, pathsOf, treeKey } from '../../../base/pytree.js'
import type { TreeDef } from '../../../base/pytree.js'
import { formatAval, sameAval } from '../../program/aval.js'
import * as ops from '../../program/ops.js'
import { Program } from '../../program/program.js'
import { bind } from '../../program/trace.js'
import type { Value } from '../../program/value.js'
import { checkFunction, readOptions } from '../arguments.js'
import { Tensor } from '../tensor.js'
import type { TensorLike } from '../tensor.js'
import { arange } from '../np/creation.js'
import { flattenArgs, rebuild, share, traceTree } from '../tracing.js'
import type { TensorTree, TracedFunction } from '../tracing.js'
import { checkState, traceBody } from './loop-state.js'
import { index, operand } from './operands.js'

export interface ScanOptions {
  /** The number of steps; needed when xs has no arrays. */
  length?: number
  /** From the last row to the first. Each y is stacked at the position of its x. */
  reverse?: boolean
}

/**
 * A loop with state over the rows (axis 0) of the arrays in `xs`: f(carry, x) returns [next carry, y]. Returns the last
 * carry and the ys, stacked along a new axis 0. The carry keeps its structure, shapes and dtypes. A bare number in
 * `init` takes the dtype that `f` returns for it (int32 for a whole number if `f` keeps the dtype, float32 for a
 * fraction). Differentiable in both modes.
 */
export function scan<C extends TensorTree, X extends TensorTree, Y extends TensorTree>(
  f: (carry: C, x: X) => [C, Y],
  init: C,
  xs: X,
  options: ScanOptions = {},
): [C, Y] {
  const { length, reverse = false } = readOptions('lax.scan', options, ['length', 'reverse'])
  const { values, def } = flattenArgs([init, xs], 'scan')
  const rows = values.slice(flatten(init).leaves.length)
  rows.forEach(x => check(x.ndim > 0, () => `scan: xs hold ${formatAval(x.aval)}, which has no rows to run over`))
  const steps = length ?? rows[0]?.shape[0]
  check(Number.isInteger(steps) && steps >= 0, () =>
    steps === undefined
      ? 'scan: give `length` when xs have no arrays'
      : `scan: length must be a whole number of 0 or more, not ${steps}`,
  )
  check(
    rows.every(x => x.shape[0] === steps),
    () => `scan: ${steps} steps do not fit xs of ${rows.map(x => formatAval(x.aval)).join(', ')}`,
  )
  const row = rows.map(({ dtype, shape }) => ({ dtype, shape: shape.slice(1) }))
  const { traced, state: carry } = traceBody('scan', f, init, def, row)
  const [after, ys] = outputsOf(traced.outputDef, 'scan: the function must return [carry, y]')
  checkState(
    'scan',
    flatten(init).def,
    carry,
    after,
    traced.program.outputs.slice(0, carry.length).map(o => o.aval),
  )
  const { program, captured } = capturedFirst(traced, values.length)
  const results = bind('scan', [...captured, ...carry, ...rows], {
    body: program,
    numConsts: captured.length,
    numCarry: carry.length,
    length: steps,
    reverse,
  })
  return [rebuild<C>(after, results.slice(0, carry.length)), rebuild<Y>(ys, results.slice(carry.length))]
}

/**
 * Applies `body` to the state as long as condition(state), a bool scalar, is true. The state keeps its structure,
 * shapes and dtypes; bare numbers in `init` as in `scan`. No reverse mode: the number of steps is unknown while
 * tracing.
 */
export function whileLoop<C extends TensorTree>(condition: (state: C) => Tensor, body: (state: C) => C, init: C): C {
  checkFunction(condition, 'whileLoop, the condition: the function')
  const { def } = flattenArgs([init], 'whileLoop')
  const { traced: step, state } = traceBody('whileLoop', body, init, def, [], 'whileLoop, the body')
  const test = traceTree(condition, def, state, 'whileLoop, the condition')
  const [result] = test.program.outputs
  check(
    test.outputDef.kind === 'leaf' && sameAval(result.aval, { dtype: 'bool', shape: [] }),
    () =>
      `whileLoop: the condition must return one bool scalar, not ${test.program.outputs.map(o => formatAval(o.aval)).join(', ')}`,
  )
  const stateDef = flatten(init).def
  checkState(
    'whileLoop',
    stateDef,
    state,
    step.outputDef,
    step.program.outputs.map(o => o.aval),
  )
  const [first, second] = [test, step].map(t => capturedFirst(t, state.length))
  return rebuild<C>(
    stateDef,
    bind('while', [...first.captured, ...second.captured, ...state], {
      condition: first.program,
      body: second.program,
      numConditionConsts: first.captured.length,
      numBodyConsts: second.captured.length,
    }),
  )
}

/**
 * state = body(i, state) for i = low, ..., high - 1 (int32). With numbers as bounds it is a scan, which has derivatives
 * in both modes. With arrays (integer scalars) it is a `whileLoop`, which has no reverse mode. Bare numbers in `init`
 * as in `scan`.
 */
export function foriLoop<C extends TensorTree>(
  low: number | Tensor,
  high: number | Tensor,
  body: (i: Tensor, state: C) => C,
  init: C,
): C {
  checkFunction(body, 'foriLoop: the body')
  const [start, end] = [low, high].map((n, i) => new Tensor(index('foriLoop', i === 0 ? 'low' : 'high', n)))
  if (typeof low === 'number' && typeof high === 'number') {
    const positions = arange(low, Math.max(low, high))
    return scan((state: C, i: Tensor): [C, null] => [body(i, state), null], init, positions)[0]
  }
  return whileLoop<{ i: Tensor; state: C }>(
    ({ i }) => new Tensor(ops.lt(i.value, end.value)),
    ({ i, state }) => ({ i: new Tensor(ops.add(i.value, 1)), state: body(i, state) }),
    { i: start, state: init },
  ).state
}

/**
 * f(x) for each row x (axis 0) of the arrays in `xs`, one after the other; the results are stacked. `vmap` does all at
 * once.
 */
export function map<X extends TensorTree, Y extends TensorTree>(f: (x: X) => Y, xs: X): Y {
  checkFunction(f, 'map: the function')
  return scan((_: null, x: X): [null, Y] => [null, f(x)], null, xs)[1]
}

/**
 * pred ? onTrue(...operands) : onFalse(...operands), of which only one runs. `pred` is a scalar, true if it is not 0.
 * Both functions are traced, and must return the same structure, shapes and dtypes. (Under `vmap` with a mapped `pred`
 * both run.)
 */
export function cond<A extends TensorTree[], R extends TensorTree>(
  pred: TensorLike,
  onTrue: (...operands: A) => R,
  onFalse: (...operands: A) => R,
  ...operands: A
): R {
  const value = operand('cond', 'the predicate', pred)
  check(value.ndim === 0, () => `lax.cond: the predicate must be a scalar, not ${formatAval(value.aval)}`)
  const isTrue = value.dtype === 'bool' ? value : ops.ne(value, 0)
  return branch('cond', ops.convertElementType(isTrue, 'int32'), [onFalse, onTrue], ['onFalse', 'onTrue'], operands)
}

/**
 * branches[index](...operands), of which only one runs. `index` is an integer scalar; out of bounds, the nearest branch
 * runs.
 */
export function switchBranch<A extends TensorTree[], R extends TensorTree>(
  at: TensorLike,
  branches: readonly ((...operands: A) => R)[],
  ...operands: A
): R {
  check(Array.isArray(branches) && branches.length > 0, 'lax.switchBranch: give a list of one branch or more')
  const names = branches.map((_, i) => `branch ${i}`)
  return branch('switchBranch', index('switchBranch', 'the index', at), branches, names, operands)
}

function branch<A extends TensorTree[], R extends TensorTree>(
  who: string,
  at: Value,
  branches: readonly ((...operands: A) => R)[],
  names: readonly string[],
  operands: A,
): R {
  const { values, def } = flattenArgs(operands, who)
  const traced = branches.map((f, i) => traceTree(f, def, values, `lax.${who}, ${names[i]}`))
  const [{ outputDef, program }] = traced
  const paths = pathsOf(outputDef)
  traced.forEach((other, i) => {
    check(
      treeKey(other.outputDef) === treeKey(outputDef),
      () =>
        `lax.${who}: ${names[0]} returns the structure ${treeKey(outputDef)} and ${names[i]} ${treeKey(other.outputDef)}: they must return the same`,
    )
    program.outputs.forEach((o, k) => {
      const got = other.program.outputs[k].aval
      check(
        sameAval(o.aval, got),
        () =>
          `lax.${who}: ${names[0]} returns ${formatAval(o.aval)}${paths[k] && ` at ${paths[k]}`} and ${names[i]} ${formatAval(got)}: they must return the same`,
      )
    })
  })
  const all = [...new Set(traced.flatMap(t => t.captured))]
  return rebuild<R>(
    outputDef,
    bind('cond', [at, ...values, ...all], { branches: traced.map(t => share(t, values.length, all)) }),
  )
}

/** The structures of the two trees that a function returns. */
function outputsOf(def: TreeDef, message: string): [TreeDef, TreeDef] {
  check(def.kind === 'list' && def.items.length === 2, message)
  return [def.items[0], def.items[1]]
}

/** The program with its captured inputs before the declared ones: the order of a loop's operands. */
function capturedFirst(
  { program, captured }: TracedFunction,
  numDeclared: number,
): { program: Program; captured: Value[] } {
  const inputs = [...program.inputs.slice(numDeclared), ...program.inputs.slice(0, numDeclared)]
  return { program: new Program(inputs, program.equations, program.outputs), captured }
}
