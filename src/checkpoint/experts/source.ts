/** Where the experts of a sparse model are read from, one by one. */
import type { DType } from '../../base/dtypes.js'
import { dtypes } from '../../base/dtypes.js'
import { sizeOf } from '../../base/host-tensor.js'
import { expertSpec } from '../../model/parameters.js'
import type { ParameterSpec } from '../../model/parameters.js'
import type { QuantizedTypes } from '../quantize.js'

/**
 * One tensor of an expert: a kernel in floating point, or the values or the scales of a quantized kernel. The bytes are
 * those of a HostTensor of this dtype and shape.
 */
export interface ExpertPart {
  /** The stack of kernels that the part belongs to: `encoder/layers_1/mlp/expert/wi/kernel`. */
  readonly parameter: string
  readonly kind: 'kernel' | 'values' | 'scales'
  readonly dtype: DType
  /** The shape of the part as it is stored, without the axis of the experts. */
  readonly shape: readonly number[]
  /**
   * Whether a kernel is stored as [out, in], as in Hugging Face's files, and not as [in, out]. Always false for parts
   * of a quantized kernel, which have the shapes of `quantizedTypes` (quantize.ts).
   */
  readonly isTransposed: boolean
  /** Where the part begins in a page: a multiple of 64 bytes. */
  readonly offset: number
}

/** The experts of one sparse layer. The pages of all of them have the same parts. */
export interface ExpertStack {
  /** `encoder/layers_1/mlp/expert` */
  readonly path: string
  readonly numExperts: number
  /** For each stack of kernels of the layer, in the order of its declaration: its kernel, or its values and scales. */
  readonly parts: readonly ExpertPart[]
  /** The size of a page: all parts, with the gaps that align them. Bytes in a gap have no meaning. */
  readonly bytes: number
}

/** The bytes that a source has read so far. */
export interface ExpertTraffic {
  /** From files. */
  readonly disk: number
  readonly network: number
}

/**
 * A source of experts. An expert is read as a page: all its parts, in memory that the caller provides. Opening reads
 * headers only.
 */
export interface ExpertSource {
  /** The name of the file, folder or repository, for messages. */
  readonly name: string
  /** In the order of the layers: those of the encoder, then those of the decoder. */
  readonly stacks: readonly ExpertStack[]
  /**
   * Reads expert `expert` of stack `stacks[stack]` into `page`, which has the stack's `bytes`. Reads may overlap. If it
   * cannot be read, throws an error that names the file, the layer and the expert; then the page's content has no
   * meaning. A FileError is one of the disk, and another try may succeed. An error of the network is another
   * SwitchyardError: its requests have been repeated already. Aborting the signal rejects with its reason, at the
   * latest when the read in progress ends.
   */
  read(stack: number, expert: number, page: Uint8Array<ArrayBuffer>, signal?: AbortSignal): Promise<void>
  traffic(): ExpertTraffic
  /** Closes the files. Reads in progress end first; later ones are errors. */
  close(): Promise<void>
}

/** The alignment of a part in a page, in bytes: that of a cache line, which suits every dtype. */
export const PART_ALIGNMENT = 64

/** The path of the sparse layer that a stack of kernels belongs to: `encoder/layers_1/mlp/expert`. */
const stackPath = ({ path }: Pick<ParameterSpec, 'path'>): string => path.split('/').slice(0, -2).join('/')

/** A part before its place in a page is known. */
export type UnplacedPart = Omit<ExpertPart, 'parameter' | 'offset'>

/** The parts of a stack of kernels in our own layout: [in, out] in the stack's dtype, or quantized. */
export function nativeParts(
  spec: ParameterSpec,
  quantizedTypes?: (spec: ParameterSpec) => QuantizedTypes | null,
): UnplacedPart[] {
  const one = expertSpec(spec)
  const types = quantizedTypes?.(one)
  if (!types) return [{ kind: 'kernel', dtype: spec.dtype, shape: one.shape, isTransposed: false }]
  return [
    { kind: 'values', dtype: types.dtype, shape: types.values, isTransposed: false },
    { kind: 'scales', dtype: 'float32', shape: types.scales, isTransposed: false },
  ]
}

/**
 * The stacks of experts of a model. `partsOf` says how one stack of kernels is stored. Parts lie one after the other,
 * each aligned.
 */
export function expertStacks(
  specs: readonly ParameterSpec[],
  partsOf: (spec: ParameterSpec) => readonly UnplacedPart[],
): ExpertStack[] {
  const layers = new Map<string, ParameterSpec[]>()
  for (const spec of specs)
    if (spec.role === 'expertKernel') layers.set(stackPath(spec), [...(layers.get(stackPath(spec)) ?? []), spec])
  return Array.from(layers, ([path, kernels]) => {
    let end = 0
    const parts = kernels.flatMap(spec =>
      partsOf(spec).map((part): ExpertPart => {
        const offset = Math.ceil(end / PART_ALIGNMENT) * PART_ALIGNMENT
        end = offset + partBytes(part)
        return { parameter: spec.path, ...part, offset }
      }),
    )
    return { path, numExperts: kernels[0].shape[0], parts, bytes: end }
  })
}

/** The size of a part in bytes. */
export const partBytes = ({ dtype, shape }: Pick<ExpertPart, 'dtype' | 'shape'>): number =>
  dtypes[dtype].bytes * sizeOf(shape)

/** The name of the tensor, in a file of our own format, that holds a part of all experts of a stack. */
export const tensorName = ({ parameter, kind }: Pick<ExpertPart, 'parameter' | 'kind'>): string =>
  kind === 'kernel' ? parameter : `${parameter}/${kind}`

/** An expert's name in messages: `expert 17 of encoder/layers_1/mlp/expert`. */
export const expertName = ({ path }: Pick<ExpertStack, 'path'>, expert: number): string => `expert ${expert} of ${path}`
