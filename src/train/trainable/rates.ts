import { ConfigError } from '../../base/errors.js'
import { flatten, leavesWithPaths, pathsOf, treeFromPaths, unflatten } from '../../base/pytree.js'
import type { Tree } from '../../base/pytree.js'
import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'
import type { TensorTree } from '../../engine/api/tracing.js'
import { matchesPath } from '../patterns.js'
import type { Optimizer } from '../optimizers/optimizer.js'
import type { RateRule } from './config.js'

/** The factor of a parameter's learning rate: that of the last rule that matches its path, otherwise 1. */
export const rateFactor = (rates: readonly RateRule[], path: string): number =>
  rates.findLast(rule => matchesPath(rule.path, path))?.factor ?? 1

/**
 * An optimizer that updates each group of parameters with the same factor as if it were alone, with the learning rate
 * times the factor. The state has the same tree as without groups, so factors may change when a run is resumed. Throws
 * a ConfigError if the optimizer keeps state that several parameters share.
 */
export function withRates(optimizer: Optimizer, rates: readonly RateRule[]): Optimizer {
  return {
    name: optimizer.name,

    init: params => optimizer.init(params),

    update(gradients, state, params, scalars) {
      const { def, leaves } = flatten<Tensor>(state)
      const oldState = new Map(pathsOf(def).map((path, i) => [path, leaves[i]]))
      const newParams: [string, Tensor][] = []
      const newState = new Map<string, Tensor>()
      for (const [factor, paths] of groupsOf(params, rates)) {
        const group = subtree(params, paths)
        // The new state is never computed: only its structure is used.
        const structure = flatten<Tensor>(optimizer.init(group)).def
        const names = pathsOf(structure)
        const shared = names.find(name => newState.has(name) || !oldState.has(name))
        if (shared !== undefined)
          throw new ConfigError(
            `train.rates needs an optimizer whose state belongs to single parameters, but the optimizer ${optimizer.name} has ${shared}, which parameters share`,
          )
        const updated = optimizer.update(
          subtree(gradients, paths),
          unflatten(
            structure,
            names.map(name => oldState.get(name)!),
          ) as TensorTree,
          group,
          { ...scalars, learningRate: np.multiply(scalars.learningRate, factor) },
        )
        newParams.push(...leavesWithPaths<Tensor>(updated.params))
        for (const [path, value] of leavesWithPaths<Tensor>(updated.state)) newState.set(path, value)
      }
      return {
        params: treeFromPaths(newParams) as typeof params,
        state: unflatten(
          def,
          pathsOf(def).map(path => newState.get(path)!),
        ) as typeof state,
      }
    },
  }
}

/** The paths of the parameters of each factor. */
function groupsOf(params: TensorTree, rates: readonly RateRule[]): Map<number, Set<string>> {
  const groups = new Map<number, Set<string>>()
  for (const [path] of leavesWithPaths<Tensor>(params)) {
    const factor = rateFactor(rates, path)
    groups.set(factor, (groups.get(factor) ?? new Set()).add(path))
  }
  return groups
}

const subtree = (tree: TensorTree, paths: ReadonlySet<string>): TensorTree =>
  treeFromPaths(leavesWithPaths<Tensor>(tree as Tree<Tensor>).filter(([path]) => paths.has(path)))
