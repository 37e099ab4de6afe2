/**
 * Functions of trees: nested lists and plain objects. Their leaves are arrays, or any other values that are neither
 * lists nor plain objects. Objects are read in the order of their sorted keys. null and undefined are trees without
 * leaves.
 */
import { check } from '../../base/errors.js'
import * as pytree from '../../base/pytree.js'
import type { Tree, TreeDef } from '../../base/pytree.js'
import { checkFunction } from './arguments.js'
import { describe } from './describe.js'
import type { TensorTree } from './tracing.js'
import type { Tensor } from './tensor.js'

export type { Tree } from '../../base/pytree.js'
/** The structure of a tree: its lists and keys, without its leaves. */
export type TreeStructure = TreeDef

/**
 * Applies `f` to each leaf. With further trees `rest`, `f` also gets their leaves at the same path. Throws a ShapeError
 * if the trees have different structures.
 */
export function map<T extends TensorTree>(f: (leaf: Tensor, ...rest: Tensor[]) => Tensor, tree: T, ...rest: T[]): T
export function map<L, R>(f: (leaf: L, ...rest: L[]) => R, tree: Tree<L>, ...rest: Tree<L>[]): Tree<R>
export function map<L, R>(f: (leaf: L, ...rest: L[]) => R, tree: Tree<L>, ...rest: Tree<L>[]): Tree<R> {
  checkFunction(f, 'tree.map: the function')
  return pytree.treeMap(f, tree, ...rest)
}

/** Applies `f` to each path and leaf. A path is the keys joined by `/`: `encoder/layers_0/mlp/wi/kernel`. */
export function mapWithPath<T extends TensorTree>(f: (path: string, leaf: Tensor) => Tensor, tree: T): T
export function mapWithPath<L, R>(f: (path: string, leaf: L) => R, tree: Tree<L>): Tree<R>
export function mapWithPath<L, R>(f: (path: string, leaf: L) => R, tree: Tree<L>): Tree<R> {
  checkFunction(f, 'tree.mapWithPath: the function')
  const { leaves, def } = pytree.flatten(tree)
  const paths = pytree.pathsOf(def)
  return pytree.unflatten(
    def,
    leaves.map((leaf, i) => f(paths[i], leaf)),
  )
}

/** The leaves, in order. */
export const leaves = <L>(tree: Tree<L>): L[] => pytree.flatten(tree).leaves

/** The leaves with their paths: see `mapWithPath`. */
export const leavesWithPaths = <L>(tree: Tree<L>): [path: string, leaf: L][] => pytree.leavesWithPaths(tree)

/** The structure of a tree: `unflatten(structure(t), leaves(t))` equals t. */
export const structure = (tree: Tree<unknown>): TreeStructure => pytree.flatten(tree).def

/** Whether two trees have the same structure. */
export const sameStructure = (a: Tree<unknown>, b: Tree<unknown>): boolean =>
  pytree.treeKey(structure(a)) === pytree.treeKey(structure(b))

/** `[leaves, structure]`. */
export function flatten<L>(tree: Tree<L>): [leaves: L[], structure: TreeStructure] {
  const flat = pytree.flatten(tree)
  return [flat.leaves, flat.def]
}

/**
 * Builds a tree: the inverse of `flatten`. Throws a ShapeError unless there is one leaf for each leaf of the structure.
 */
export const unflatten = <L>(structure: TreeStructure, leaves: readonly L[]): Tree<L> =>
  pytree.unflatten(structure, leaves)

/** f(f(f(initial, leaf 0), leaf 1), ...). Without `initial`, starts from the first leaf. */
export function reduce<L>(f: (sofar: L, leaf: L) => L, tree: Tree<L>): L
export function reduce<L, R>(f: (sofar: R, leaf: L) => R, tree: Tree<L>, initial: R): R
export function reduce<L>(f: (sofar: L, leaf: L) => L, tree: Tree<L>, ...initial: [] | [L]): L {
  checkFunction(f, 'tree.reduce: the function')
  const items = [...initial, ...leaves(tree)]
  check(items.length > 0, 'tree.reduce: a tree without leaves needs an initial value')
  return items.slice(1).reduce((sofar, leaf) => f(sofar, leaf), items[0])
}

/** Whether `test` holds of all leaves. */
export const all = <L>(test: (leaf: L) => boolean, tree: Tree<L>): boolean => leaves(tree).every(leaf => test(leaf))

/**
 * Turns a tree of structure `outer`, whose leaves are trees of structure `inner`, into an `inner` tree of `outer`
 * trees.
 */
export function transpose<L>(outer: TreeStructure, inner: TreeStructure, tree: Tree<L>): Tree<Tree<L>> {
  const items = leaves(tree)
  const [n, m] = [pytree.leafCount(outer), pytree.leafCount(inner)]
  check(
    items.length === n * m,
    () => `tree.transpose: the tree has ${items.length} leaves, not ${n} times ${m}: ${describe(tree)}`,
  )
  const column = (j: number): Tree<L> =>
    unflatten(
      outer,
      Array.from({ length: n }, (_, i) => items[i * m + j]),
    )
  return unflatten(
    inner,
    Array.from({ length: m }, (_, j) => column(j)),
  ) as Tree<Tree<L>>
}
