import { leavesWithPaths, treeFromPaths } from '../../base/pytree.js'
import type { Tree } from '../../base/pytree.js'
import type { ParameterPlaces } from '../averages.js'

/** One tree with the leaves of two. */
export const union = <L>(a: Tree<L>, b: Tree<L>): Tree<L> =>
  treeFromPaths([...leavesWithPaths<L>(a), ...leavesWithPaths<L>(b)])

/** A tree of parameters in two: those that are trained, and those that are frozen. */
export function partition<L>(params: Tree<L>, trained: ReadonlySet<string>): { params: Tree<L>; frozen: Tree<L> } {
  const leaves = leavesWithPaths<L>(params)
  return {
    params: treeFromPaths(leaves.filter(([path]) => trained.has(path))),
    frozen: treeFromPaths(leaves.filter(([path]) => !trained.has(path))),
  }
}

/** The places of parameters of which some are frozen. Checkpoints and inference have all of them. */
export const partlyTrained = (places: ParameterPlaces, trained: ReadonlySet<string>): ParameterPlaces => ({
  used: arrays => union(places.used(arrays), arrays.frozen),
  stored: arrays => {
    const { params, optimizer } = places.stored(arrays)
    return { params: union(params, arrays.frozen), optimizer }
  },
  live: ({ params, optimizer }) => {
    const parts = partition(params, trained)
    return { ...places.live({ params: parts.params, optimizer }), frozen: parts.frozen }
  },
})
