import { treeFromPaths } from '../base/pytree.js'
import type { Tree } from '../base/pytree.js'
import { evalShape, TensorType } from '../engine/api/eval-shape.js'
import { defaultEngine } from '../engine/api/engine.js'
import { devicePut } from '../engine/api/mesh.js'
import * as random from '../engine/api/random.js'
import type { Tensor } from '../engine/api/tensor.js'
import type { TensorTree } from '../engine/api/tracing.js'
import { initAligned } from '../model/aligned-init.js'
import { initParameter, initParameters } from '../model/init.js'
import { declareParameters } from '../model/parameters.js'
import type { ParameterSpec } from '../model/parameters.js'
import type { ModelParams } from '../model/types.js'
import { averagedParameters, trainedParameters } from './averages.js'
import type { ParameterPlaces } from './averages.js'
import type { RunConfig } from './config.js'
import { averaging } from './optimizers/averaging.js'
import type { Optimizer } from './optimizers/optimizer.js'
import { makeOptimizer } from './optimizers/optimizers.js'
import { gatherOnFirst } from './job/saved-parts.js'
import { initOnMesh, parameterLayouts, putOnMesh } from './parallel/arrays.js'
import { layoutsOf } from './parallel/layouts.js'
import type { RunLayouts } from './parallel/layouts.js'
import { jitOnMesh } from './parallel/jit-on-mesh.js'
import { meshOfRun, requireDivisible } from './parallel/mesh-config.js'
import { requireMatch } from './patterns.js'
import type { TrainArrays } from './step.js'
import { declareAdapters, mergedAdapters } from './trainable/adapters.js'
import { trainedPaths } from './trainable/freeze.js'
import { partition, partlyTrained, union } from './trainable/partition.js'
import { withRates } from './trainable/rates.js'
import type { TrainerValues } from './values.js'

/** A run's arrays. */
export type RunArrays = TrainArrays & {
  /** The parameters that are not trained. */
  readonly frozen: TensorTree
}

/** The types of a run's arrays. */
export interface TrainTypes {
  readonly params: Tree<TensorType>
  readonly optimizer: Tree<TensorType>
  readonly frozen: Tree<TensorType>
}

/** The parts of a run that its model and its optimizer determine: they need no data. */
export interface ModelParts {
  /** The optimizer, with rates by group and an average of the parameters if the configuration asks for them. */
  readonly optimizer: Optimizer
  /** Where the parameters are that inference uses. */
  readonly places: ParameterPlaces
  /** The layouts of the run's arrays on a mesh of devices; null on one device. */
  readonly layouts: RunLayouts | null
  /** Every parameter of the model, and the key of its first value. */
  readonly specs: readonly ParameterSpec[]
  readonly initKey: Tensor
  /** The arrays at step 0, from the model's parameters: by default, new random ones. */
  initialize(params?: ModelParams): RunArrays
  /** The parameters to evaluate and to infer with: all of them, with adapters merged into their kernels. */
  usedParameters(arrays: RunArrays): ModelParams
  /** The same of several processes, for process 0 alone, which holds one more array meanwhile. All call this. */
  gatherUsed(arrays: RunArrays): Promise<ModelParams | null>
  /** The types of those arrays. Nothing is computed: they may be too large for this machine. */
  types(): TrainTypes
}

/**
 * Makes these parts. Throws a ConfigError for patterns that match no parameter, and for a custom optimizer that is not
 * supplied.
 */
export function modelParts(
  { model, router, train }: Pick<RunConfig, 'model' | 'router' | 'train'>,
  values: Pick<TrainerValues, 'optimizer'>,
): ModelParts {
  const { lora, freeze, rates, averageDecay } = train
  const specs = declareParameters(model, router)
  const adapters = lora.rank === 0 ? [] : declareAdapters(specs, lora)
  const trainable = adapters.length === 0 ? specs : adapters
  const trained = trainedPaths(
    freeze,
    trainable.map(spec => spec.path),
  )
  for (const rule of rates) requireMatch('train.rates', rule.path, [...trained])
  const updates = values.optimizer ?? makeOptimizer(train.optimizer, trainable)
  const rated = rates.length === 0 ? updates : withRates(updates, rates)
  const optimizer = averageDecay === null ? rated : averaging(rated, averageDecay)
  const places = partlyTrained(averageDecay === null ? trainedParameters : averagedParameters, trained)
  const mesh = meshOfRun({ model, train })
  const { name, partitionsPrograms = true } = defaultEngine().backend
  if (mesh && !partitionsPrograms) requireDivisible(train, name)
  const types = (): TrainTypes => {
    const all = [...specs, ...adapters].map(({ path, dtype, shape }) => [path, new TensorType(dtype, shape)] as const)
    const { params, frozen } = partition<TensorType>(treeFromPaths(all), trained)
    return { params, optimizer: typesOf((p: TensorTree) => optimizer.init(p))(params), frozen }
  }
  const layouts =
    mesh &&
    layoutsOf(
      { mesh, collectives: !partitionsPrograms },
      [...specs, ...adapters],
      types(),
      train.optimizer.kind === 'adafactor' ? train.optimizer.minSizeToFactor : undefined,
    )
  const initOptimizer = jitOnMesh(
    (params: TensorTree) => optimizer.init(params),
    layouts,
    on => ({ in: [on.params], out: on.optimizer }),
  )
  const initKey = random.foldIn(random.key(train.seed), 0)
  const usedArrays = (arrays: RunArrays): TensorTree => places.used<Tensor>(arrays) as TensorTree
  const merged = (used: TensorTree): ModelParams => mergedAdapters(used, lora) as unknown as ModelParams
  return {
    optimizer,
    places,
    layouts,
    specs,
    initKey,
    usedParameters: arrays => {
      const used = usedArrays(arrays)
      return merged(layouts ? devicePut(used, null) : used)
    },
    gatherUsed: async arrays => {
      const used = await gatherOnFirst(usedArrays(arrays))
      return used === null ? null : merged(used)
    },
    initialize: (base = newParameters(specs, initKey, train.init, layouts)) => {
      const added = adapters.map((spec, i) => [spec.path, initParameter(spec, specs.length + i, initKey)] as const)
      const all = union<Tensor>(base, treeFromPaths(added)) as TensorTree
      const laidOut = layouts ? putOnMesh(all, parameterLayouts(layouts)) : all
      const { params, frozen } = partition<Tensor>(laidOut, trained)
      return {
        params: params as TensorTree,
        optimizer: initOptimizer(params as TensorTree),
        frozen: frozen as TensorTree,
      }
    },
    types,
  }
}

/** New random parameters of the model: on a mesh, each device draws its own parts. */
function newParameters(
  specs: readonly ParameterSpec[],
  key: Tensor,
  init: 't5' | 'aligned',
  layouts: RunLayouts | null,
): ModelParams {
  if (init === 'aligned') return initAligned(specs, key)
  return layouts ? initOnMesh(specs, key, parameterLayouts(layouts), layouts) : initParameters(specs, key)
}

/**
 * `evalShape` for trees whose structure TypeScript does not know; the types of `evalShape` itself would recurse
 * endlessly.
 */
const typesOf = evalShape as unknown as (
  f: (params: TensorTree) => TensorTree,
) => (params: Tree<TensorType>) => Tree<TensorType>
