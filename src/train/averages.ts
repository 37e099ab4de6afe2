import type { Tree } from '../base/pytree.js'

/** The arrays of a run, or their types. */
interface Arrays<L> extends StoredArrays<L> {
  /** The parameters that are not trained. */
  readonly frozen: Tree<L>
}

/** The arrays of a checkpoint, or their types. */
interface StoredArrays<L> {
  readonly params: Tree<L>
  readonly optimizer: Tree<L>
}

/**
 * Where a run's parameters are. With an average of them (`train.averageDecay`), a checkpoint's `params` are the
 * average, so that whatever reads a checkpoint uses it, and the parameters that training updates are beside the
 * optimizer's state.
 */
export interface ParameterPlaces {
  /** The parameters that evaluation and inference use. */
  used<L>(arrays: Arrays<L>): Tree<L>
  /** The arrays as a checkpoint holds them. */
  stored<L>(arrays: Arrays<L>): { params: Tree<L>; optimizer: Tree<L> }
  /** The inverse of `stored`. */
  live<L>(stored: StoredArrays<L>): { params: Tree<L>; optimizer: Tree<L>; frozen: Tree<L> }
}

/** Without an average: training, checkpoints and inference have the same parameters. */
export const trainedParameters: ParameterPlaces = {
  used: ({ params }) => params,
  stored: ({ params, optimizer }) => ({ params, optimizer }),
  live: arrays => ({ ...arrays, frozen: {} }),
}

/** With an average, which `averaging` (optimizers/averaging.ts) keeps in the optimizer's state. */
export const averagedParameters: ParameterPlaces = {
  used: ({ optimizer }) => (optimizer as { average: Tree<never> }).average,
  stored: ({ params, optimizer: state }) => {
    const { optimizer, average } = state as { optimizer: Tree<never>; average: Tree<never> }
    return { params: average, optimizer: { optimizer, trained: params } }
  },
  live: ({ params, optimizer: state }) => {
    const { optimizer, trained } = state as { optimizer: Tree<never>; trained: Tree<never> }
    return { params: trained, optimizer: { optimizer, average: params }, frozen: {} }
  },
}
