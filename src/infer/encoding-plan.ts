import { meaningOf } from '../model/meaning.js'
import { stackLayers } from '../model/config.js'
import type { ModelConfig } from '../model/config.js'
import { routerOf } from '../model/routing.js'
import type { ForwardOptions } from '../model/types.js'
import type { StageRange } from './compiled-encoder.js'
import { LENGTH_MULTIPLE, paddedLength } from './padded-inputs.js'
import { bucket } from './rows.js'

/**
 * How many multiplications and additions of an encoding are computed in one slice, between two steps of the decoder.
 * More would delay the next tokens of all running requests: two cores with AVX2 take 0.1 to 0.15 s for these. Fewer
 * would make more slices, each of which takes a few ms besides.
 */
export const SLICE_OPERATIONS = 2 ** 34

/** Parts are not made shorter than this, since small matrix products cost more for each token. */
const LEAST_PART = 64

/** The same positions of each input of a batch, from number `first` up to, but not including, `end`. */
export interface Part {
  readonly first: number
  readonly end: number
}

/** How a batch of inputs is encoded. A slice runs stages on one part. All parts go through a stage before the next. */
export interface EncodingPlan {
  /** The inputs' length with padding. */
  readonly length: number
  readonly parts: readonly Part[]
  /** The stages of a slice: one if there are several parts. */
  readonly ranges: readonly StageRange[]
}

/** Whether the encoding is done in one slice. */
export const isOneSlice = ({ parts, ranges }: EncodingPlan): boolean => parts.length * ranges.length === 1

/** Divides the encoding of inputs into slices of at most `most` operations, as far as possible. */
export function planEncoding(
  inputs: readonly (readonly number[])[],
  options: ForwardOptions,
  most = SLICE_OPERATIONS,
): EncodingPlan {
  const length = paddedLength(inputs)
  const costs = stageOperations(length, options.config).map(cost => cost * bucket(inputs.length) * length)
  const part = mayDivide(options) ? partLength(length, Math.max(...costs) / most) : length
  const parts: Part[] = []
  for (let first = 0; first < length; first += part) parts.push({ first, end: Math.min(length, first + part) })
  const ranges: StageRange[] = []
  let sum = 0
  costs.forEach((cost, stage) => {
    sum += cost
    const joins = stage > 0 && parts.length === 1 && sum <= most
    if (!joins) sum = cost
    const { first } = joins ? ranges.pop()! : { first: stage }
    ranges.push({ first, end: stage + 1 })
  })
  return { length, parts, ranges }
}

/** The length of parts: about `count` equal ones, of which the last may be shorter. */
const partLength = (length: number, count: number): number =>
  Math.max(LEAST_PART, Math.ceil(length / Math.ceil(count) / LENGTH_MULTIPLE) * LENGTH_MULTIPLE)

/** The multiplications and additions of each stage (see encode.ts) for one token of inputs of one length. */
function stageOperations(length: number, config: ModelConfig): number[] {
  const { dModel, dFf, numHeads, headDim, gatedActivation, numDecoderLayers, numEncoderLayers } = config
  const projection = 2 * dModel * numHeads * headDim
  const attention = 4 * length * numHeads * headDim + projection
  const feedForward = 2 * (gatedActivation ? 3 : 2) * dModel * dFf
  return Array.from({ length: numEncoderLayers + 2 }, (_, stage) => {
    if (stage > numEncoderLayers) return 2 * projection * numDecoderLayers
    return (stage === 0 ? 0 : attention + feedForward) + (stage < numEncoderLayers ? 3 * projection : 0)
  })
}

/**
 * Whether parts of an input can be computed one after the other: not if experts compare its tokens, or have a capacity
 * for them.
 */
const mayDivide = (options: ForwardOptions): boolean =>
  !hasSparseEncoder(options) || (!mayDrop(options) && routerOf(options, 'encoder').comparesTokens !== true)

/**
 * Whether experts of the encoder have a capacity, so that they drop tokens (see meaning.ts). Its output for an input
 * depends on the whole batch then.
 */
export const mayDrop = (options: ForwardOptions): boolean =>
  hasSparseEncoder(options) && !meaningOf(options).droplessEvaluation

const hasSparseEncoder = ({ config }: ForwardOptions): boolean =>
  stackLayers(config, 'encoder').some(({ sparse }) => sparse)
