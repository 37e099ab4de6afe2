import { ConfigError } from '../../base/errors.js'
import { leavesWithPaths, treeFromPaths } from '../../base/pytree.js'
import type { Tensor } from '../../engine/api/tensor.js'
import * as np from '../../engine/api/np.js'
import type { TensorTree } from '../../engine/api/tracing.js'
import type { ParameterRole, ParameterSpec } from '../../model/parameters.js'
import { matchesPath, requireMatch } from '../patterns.js'
import type { LoraConfig } from './config.js'

/** The declaration of an array that a run trains: a parameter of the model, or half of an adapter. */
export type TrainableSpec = Pick<ParameterSpec, 'path' | 'shape' | 'axes' | 'dtype' | 'init'>

/** The linear maps that `nn/lora.ts` can adapt. */
const adaptable: readonly ParameterRole[] = ['kernel', 'expertKernel', 'router', 'outputProjection']

/** The paths of the two halves of a kernel's adapter, which are beside the kernel: `.../query/lora_a`. */
export const adapterPaths = (kernel: string): { a: string; b: string } => ({
  a: kernel.replace(/kernel$/, 'lora_a'),
  b: kernel.replace(/kernel$/, 'lora_b'),
})

/** The kernels that get an adapter. Throws a ConfigError for a target that matches none. */
export function adaptedKernels(specs: readonly ParameterSpec[], { targets }: LoraConfig): ParameterSpec[] {
  const candidates = specs.filter(spec => adaptable.includes(spec.role))
  const paths = candidates.map(spec => spec.path)
  for (const target of targets) requireMatch('train.lora.targets', target, paths)
  const chosen = candidates.filter(({ path }) => targets.some(target => matchesPath(target, path)))
  if (chosen.length === 0)
    throw new ConfigError('train.lora.targets is empty: name the kernels that get an adapter, such as query,value')
  return chosen
}

/**
 * The adapters of a model: for each chosen kernel [..., in, out], `lora_a` [..., in, rank], uniform in
 * [-1/sqrt(in), 1/sqrt(in)] as in PEFT, and `lora_b` [..., rank, out], which begins as zeros. Each expert has its own.
 */
export function declareAdapters(specs: readonly ParameterSpec[], lora: LoraConfig): TrainableSpec[] {
  return adaptedKernels(specs, lora).flatMap(({ path, shape, axes }): TrainableSpec[] => {
    const { a, b } = adapterPaths(path)
    const [stack, stackAxes] = [shape.slice(0, -2), axes.slice(0, -2)]
    const [inputs, outputs] = shape.slice(-2)
    const [inputAxis, outputAxis] = axes.slice(-2)
    const init = { kind: 'uniform', limit: 1 / Math.sqrt(inputs) } as const
    return [
      {
        path: a,
        shape: [...stack, inputs, lora.rank],
        axes: [...stackAxes, inputAxis, 'unmodeled'],
        dtype: 'float32',
        init,
      },
      {
        path: b,
        shape: [...stack, lora.rank, outputs],
        axes: [...stackAxes, 'unmodeled', outputAxis],
        dtype: 'float32',
        init: { kind: 'zeros' },
      },
    ]
  })
}

/** Whether a path is that of half an adapter. */
export const isAdapter = (path: string): boolean => /\/lora_[ab]$/.test(path)

/** A model's parameters with their adapters, as `forward` takes them: the scale is part of `lora_b`. */
export const scaledAdapters = (params: TensorTree, { rank, alpha }: LoraConfig): TensorTree =>
  rank === 0
    ? params
    : treeFromPaths(
        leavesWithPaths<Tensor>(params).map(([path, x]) => [
          path,
          path.endsWith('/lora_b') ? np.multiply(x, alpha / rank) : x,
        ]),
      )

/** A model's parameters with their adapters added to the kernels. */
export function mergedAdapters(params: TensorTree, lora: LoraConfig): TensorTree {
  if (lora.rank === 0) return params
  const arrays = new Map(leavesWithPaths<Tensor>(params))
  return treeFromPaths(
    [...arrays].flatMap(([path, x]): [string, Tensor][] => {
      if (isAdapter(path)) return []
      const { a, b } = adapterPaths(path)
      return [[path, arrays.has(a) && path !== a ? mergedKernel(x, arrays.get(a)!, arrays.get(b)!, lora) : x]]
    }),
  )
}

/** kernel + alpha / rank * lora_a lora_b, of the kernel's shape [..., in, out]. */
export const mergedKernel = (kernel: Tensor, a: Tensor, b: Tensor, { rank, alpha }: LoraConfig): Tensor =>
  np.add(kernel, np.multiply(np.matmul(a, b), alpha / rank)) // [..., in, out]
