import { check } from '../../base/errors.js'
import { flatten, treeKey } from '../../base/pytree.js'
import type { TreeDef } from '../../base/pytree.js'
import { formatAval, sameAval } from '../program/aval.js'
import * as ops from '../program/ops.js'
import type { VjpPrograms } from '../program/program.js'
import { Program } from '../program/program.js'
import { bind, trace } from '../program/trace.js'
import type { Value } from '../program/value.js'
import { Tensor } from './tensor.js'
import { flattenArgs, rebuild, share, traceTree } from './tracing.js'
import type { TensorTree, TracedFunction } from './tracing.js'

/** A reverse-mode derivative written by hand. `S`: whatever the forward pass keeps for the backward pass. */
export interface Vjp<A extends TensorTree[], R extends TensorTree, S extends TensorTree> {
  /** The function's output, and what `backward` needs. */
  forward: (...args: A) => [output: R, residuals: S]
  /** A cotangent for each argument, of its structure; null where it is zero, and for integers. */
  backward: (residuals: S, cotangent: R) => { [I in keyof A]: A[I] | null }
}

/**
 * A function that stays whole in programs, as `composite[name]`: transformations and the interpreter use what `f` does,
 * a backend that knows the name may compute it faster. With `vjp`, reverse mode uses that rule (the program then keeps
 * the name where the rule's residuals are inputs and outputs of `f`, and `name.forward` where they are not);
 * forward mode still goes through `f`. Arrays that `f` or the rule closes over cannot be differentiated. `attributes` are
 * numbers that `f` closes over and a backend has to know.
 */
export function composite<A extends TensorTree[], R extends TensorTree, S extends TensorTree = TensorTree>(
  name: string,
  f: (...args: A) => R,
  { vjp: rule, attributes }: { vjp?: Vjp<A, R, S>; attributes?: { readonly [name: string]: number } } = {},
): (...args: A) => R {
  return (...args) => {
    const { values, def } = flattenArgs(args)
    const traced = traceTree(f, def, values)
    const known = attributes && { attributes }
    if (!rule)
      return rebuild<R>(
        traced.outputDef,
        bind('composite', [...values, ...traced.captured], { name, ...known, program: traced.program }),
      )
    const { captured, program, vjp } = traceVjp(name, rule, traced, values, def)
    return rebuild<R>(traced.outputDef, bind('composite', [...values, ...captured], { name, ...known, program, vjp }))
  }
}

/** `f` with a reverse-mode derivative of its own: see `composite`, whose name is that of `f` here. */
export function customVjp<A extends TensorTree[], R extends TensorTree, S extends TensorTree>(
  f: (...args: A) => R,
  forward: Vjp<A, R, S>['forward'],
  backward: Vjp<A, R, S>['backward'],
): (...args: A) => R {
  return composite(f.name || 'customVjp', f, { vjp: { forward, backward } })
}

/** Traces the rule, and gives all three programs the same hidden inputs: whatever any of them closes over. */
function traceVjp<A extends TensorTree[], R extends TensorTree, S extends TensorTree>(
  name: string,
  { forward, backward }: Vjp<A, R, S>,
  { program, captured, outputDef }: TracedFunction,
  values: readonly Value[],
  def: TreeDef,
): { program: Program; captured: Value[]; vjp: VjpPrograms } {
  let residualDef: TreeDef | undefined
  const ahead = traceTree(
    (...args: A) => {
      const [output, residuals] = forward(...args)
      check(
        treeKey(flatten(output).def) === treeKey(outputDef),
        () =>
          `${name}: the rule's forward must return [output, residuals], the output with the structure of the function's`,
      )
      residualDef = flatten(residuals).def
      return [output, residuals]
    },
    def,
    values,
  )
  program.outputs.forEach((o, i) =>
    check(
      sameAval(o.aval, ahead.program.outputs[i].aval),
      () =>
        `${name}: the rule's forward returns ${formatAval(ahead.program.outputs[i].aval)} where the function returns ${formatAval(o.aval)}`,
    ),
  )

  const residuals = ahead.program.outputs.slice(program.outputs.length)
  const back = trace(
    [...residuals, ...program.outputs].map(o => o.aval),
    v => {
      const kept = rebuild<S>(residualDef!, v.slice(0, residuals.length))
      const cotangent = rebuild<R>(outputDef, v.slice(residuals.length))
      return argumentCotangents(name, backward(kept, cotangent), def, values)
    },
  )

  const all = [...new Set([...captured, ...ahead.captured, ...back.captured])]
  const fromForward = share(ahead, values.length, all)
  const used = back.captured.map(v => fromForward.inputs[values.length + all.indexOf(v)])
  const backInputs = back.program.inputs
  const numDeclared = residuals.length + program.outputs.length
  return {
    captured: all,
    program: share({ program, captured }, values.length, all),
    vjp: {
      forward: new Program(fromForward.inputs, fromForward.equations, [...fromForward.outputs, ...used]),
      backward: new Program(
        [
          ...backInputs.slice(0, residuals.length),
          ...backInputs.slice(numDeclared),
          ...backInputs.slice(residuals.length, numDeclared),
        ],
        back.program.equations,
        back.program.outputs,
      ),
    },
  }
}

/** The leaves' cotangents in order, zeros written out. */
function argumentCotangents(
  name: string,
  cotangents: readonly TensorTree[],
  def: TreeDef,
  values: readonly Value[],
): Value[] {
  const items = def.kind === 'list' ? def.items : []
  check(
    cotangents.length === items.length,
    () =>
      `${name}: the rule's backward must return a cotangent for each of the ${items.length} arguments, got ${cotangents.length}`,
  )
  let next = 0
  return items.flatMap((item, argument) => {
    const avals = values.slice(next, (next += leafCount(item)))
    const cotangent = cotangents[argument]
    if (cotangent === null) return avals.map(ops.zerosLike)
    const { leaves, def: got } = flatten<Tensor>(cotangent)
    check(
      treeKey(got) === treeKey(item),
      () =>
        `${name}: the cotangent of argument ${argument} must have the argument's structure ${treeKey(item)}, got ${treeKey(got)}`,
    )
    return leaves.map((leaf, i) => {
      check(
        leaf instanceof Tensor && sameAval(leaf.value.aval, avals[i].aval),
        () =>
          `${name}: the cotangent of argument ${argument} must be ${formatAval(avals[i].aval)}, got ${String(leaf)}`,
      )
      return leaf.value
    })
  })
}

const leafCount = (def: TreeDef): number =>
  def.kind === 'leaf' ? 1 : def.kind === 'empty' ? 0 : def.items.reduce((n, item) => n + leafCount(item), 0)
