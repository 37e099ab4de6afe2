/**
 * Functions of trees: nested lists and plain objects, whose leaves are arrays or anything else that is neither. Objects are
 * read in the order of their sorted keys. null and undefined are trees without leaves.
 */
import { check } from '../../base/errors.js'
import * as pytree from '../../base/pytree.js'
import type { Tree, TreeDef } from '../../base/pytree.js'
import { checkFunction } from './arguments.js'
import { describe } from './describe.js'
import type { TensorTree } from './tracing.js'
import type { Tensor } from './tensor.js'

export type { Tree } from '../../base/pytree.js'
/** How a tree is built, without its leaves. */
export type TreeStructure = TreeDef

/**
 * The tree of f(leaf), or of f(leaf, ...the leaves at that place of further trees). Throws a ShapeError if the trees have
 * different structures.
 */
export function map<T extends TensorTree>(f: (leaf: Tensor, ...rest: Tensor[]) => Tensor, tree: T, ...rest: T[]): T
export function map<L, R>(f: (leaf: L, ...rest: L[]) => R, tree: Tree<L>, ...rest: Tree<L>[]): Tree<R>
export function map<L, R>(f: (leaf: L, ...rest: L[]) => R, tree: Tree<L>, ...rest: Tree<L>[]): Tree<R> {
  checkFunction(f, 'tree.map: the function')
  return pytree.treeMap(f, tree, ...rest)
}

/** The tree of f(path, leaf), with the path's keys joined by `/`: `encoder/layers_0/mlp/wi/kernel`. */
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

/** The structure: `unflatten(structure(t), leaves(t))` is t again. */
export const structure = (tree: Tree<unknown>): TreeStructure => pytree.flatten(tree).def

/** Whether trees have one structure. */
export const sameStructure = (a: Tree<unknown>, b: Tree<unknown>): boolean =>
  pytree.treeKey(structure(a)) === pytree.treeKey(structure(b))

/** `[leaves, structure]`. */
export function flatten<L>(tree: Tree<L>): [leaves: L[], structure: TreeStructure] {
  const flat = pytree.flatten(tree)
  return [flat.leaves, flat.def]
}

/** The tree of a structure and leaves: the inverse of `flatten`. Throws a ShapeError unless their numbers agree. */
export const unflatten = <L>(structure: TreeStructure, leaves: readonly L[]): Tree<L> =>
  pytree.unflatten(structure, leaves)

/** f(f(f(initial, leaf 0), leaf 1), ...). Without `initial` the first leaf is it. */
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

/** A tree of structure `outer` whose leaves are trees of structure `inner`, turned inside out. */
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
