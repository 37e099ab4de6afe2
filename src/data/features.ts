import { hostTensor } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { check } from '../base/errors.js'
import type { Dataset } from './dataset.js'
import type { Example } from './source.js'
import type { TextCodec } from '../text/codec.js'
import { EOS_ID, PAD_ID } from '../text/vocabulary.js'

/** An example as token ids. Both sides end with EOS, unless they were truncated. */
export interface TokenExample {
  readonly inputs: Int32Array
  readonly targets: Int32Array
}

/**
 * A training batch, under T5X's names. Each tensor is [rows, length], int32 (float32 for the weights). A row holds
 * several examples: segment k (from 1; 0 is padding) of the encoder's and of the decoder's row is one example.
 */
export interface PackedFeatures {
  readonly encoder_input_tokens: HostTensor
  /** The targets shifted right by one: the tokens that the decoder has seen when it predicts the next one. */
  readonly decoder_input_tokens: HostTensor
  readonly decoder_target_tokens: HostTensor
  /** 1 for each target, 0 for padding. */
  readonly decoder_loss_weights: HostTensor
  readonly encoder_segment_ids: HostTensor
  readonly decoder_segment_ids: HostTensor
}

export interface PackedSize {
  readonly rows: number
  readonly inputLength: number
  readonly targetLength: number
}

/** Encodes an example and ends both sides with EOS. */
export function tokenize(
  codec: Pick<TextCodec, 'inputs' | 'targets'>,
  example: Pick<Example, 'input' | 'target'>,
): TokenExample {
  return {
    inputs: withEos(codec.inputs.encode(example.input)),
    targets: withEos(codec.targets.encode(example.target)),
  }
}

/** The tokens of text examples, which are encoded when they are asked for: each `get` encodes again. */
export const tokenDataset = (
  codec: Pick<TextCodec, 'inputs' | 'targets'>,
  examples: readonly Example[],
): Dataset<TokenExample> => ({ length: examples.length, get: index => tokenize(codec, examples[index]) })

const withEos = (ids: readonly number[]): Int32Array => {
  const ended = new Int32Array(ids.length + 1)
  ended.set(ids)
  ended[ids.length] = EOS_ID
  return ended
}

/** What to do with an example that is longer than a row. Truncating drops the end and the EOS, as in T5X. */
export type TooLong = 'skip' | 'truncate'

export interface Fitted {
  readonly examples: TokenExample[]
  /** How many examples were left out, and how many were truncated. */
  readonly skipped: number
  readonly truncated: number
}

/** Leaves out or truncates the examples that are longer than a row, and counts them. */
export function fitLengths(
  examples: Dataset<TokenExample>,
  size: { inputLength: number; targetLength: number },
  tooLong: TooLong,
): Fitted {
  const { inputLength, targetLength } = size
  const fitted: TokenExample[] = []
  let long = 0
  for (let i = 0; i < examples.length; i++) {
    const example = examples.get(i)
    const fits = example.inputs.length <= inputLength && example.targets.length <= targetLength
    if (!fits) long++
    if (fits) fitted.push(example)
    else if (tooLong === 'truncate')
      fitted.push({ inputs: example.inputs.slice(0, inputLength), targets: example.targets.slice(0, targetLength) })
  }
  return { examples: fitted, skipped: tooLong === 'skip' ? long : 0, truncated: tooLong === 'truncate' ? long : 0 }
}

/**
 * The rows of a batch while it is packed. An example goes into the first row that has room for both its input and
 * target.
 */
export class OpenRows {
  /** The examples of each row, in order. */
  readonly rows: TokenExample[][]
  private readonly inputRoom: Int32Array
  private readonly targetRoom: Int32Array

  constructor(readonly size: PackedSize) {
    this.rows = Array.from({ length: size.rows }, () => [])
    this.inputRoom = new Int32Array(size.rows).fill(size.inputLength)
    this.targetRoom = new Int32Array(size.rows).fill(size.targetLength)
  }

  /** Puts the example into a row. Returns false if no row has room for it. */
  place(example: TokenExample): boolean {
    const inputs = example.inputs.length
    const targets = example.targets.length
    // Empty examples would never fill a row.
    check(inputs > 0 && targets > 0, 'an example needs at least one token on each side: end both with EOS')
    check(
      inputs <= this.size.inputLength && targets <= this.size.targetLength,
      () =>
        `an example of ${inputs}+${targets} tokens cannot fit a row of ${this.size.inputLength}+${this.size.targetLength}: use fitLengths first`,
    )
    for (let row = 0; row < this.rows.length; row++) {
      if (this.inputRoom[row] >= inputs && this.targetRoom[row] >= targets) {
        this.rows[row].push(example)
        this.inputRoom[row] -= inputs
        this.targetRoom[row] -= targets
        return true
      }
    }
    return false
  }

  /** Whether no row has room for an example of one token on each side. */
  get full(): boolean {
    return this.rows.every((_, row) => this.inputRoom[row] === 0 || this.targetRoom[row] === 0)
  }

  /** The features of the rows as filled so far. */
  features(): PackedFeatures {
    const { rows, inputLength, targetLength } = this.size
    const encoder = packSide(
      this.rows.map(row => row.map(e => e.inputs)),
      rows,
      inputLength,
    )
    const decoder = packSide(
      this.rows.map(row => row.map(e => e.targets)),
      rows,
      targetLength,
    )
    return {
      encoder_input_tokens: encoder.tokens,
      decoder_input_tokens: shiftRight(decoder.tokens, decoder.segmentIds),
      decoder_target_tokens: decoder.tokens,
      decoder_loss_weights: lossWeights(decoder.tokens),
      encoder_segment_ids: encoder.segmentIds,
      decoder_segment_ids: decoder.segmentIds,
    }
  }
}

/**
 * Packs examples, in their order, into the rows of one batch. `rest` holds the examples that no row had room for.
 * (Training uses `TrainIterator`, which carries the rest over into the next batch.)
 */
export function packBatch(
  examples: Iterable<TokenExample>,
  size: PackedSize,
): { features: PackedFeatures; packed: number; rest: TokenExample[] } {
  const open = new OpenRows(size)
  const rest: TokenExample[] = []
  let packed = 0
  for (const example of examples) {
    if (open.place(example)) packed++
    else rest.push(example)
  }
  return { features: open.features(), packed, rest }
}

/** Writes the sequences of each row one after the other. */
function packSide(sequences: Int32Array[][], rows: number, length: number) {
  const tokens = new Int32Array(rows * length)
  const segmentIds = new Int32Array(rows * length)
  sequences.forEach((row, r) => {
    let at = r * length
    row.forEach((sequence, k) => {
      for (const id of sequence) {
        tokens[at] = id
        segmentIds[at++] = k + 1
      }
    })
  })
  const tensor = (data: Int32Array): HostTensor => hostTensor('int32', [rows, length], data)
  return { tokens: tensor(tokens), segmentIds: tensor(segmentIds) }
}

/**
 * The decoder's inputs: each segment's targets shifted right by one, beginning with 0. The segment's EOS is shifted
 * out, as in T5X.
 */
function shiftRight(targets: HostTensor, segmentIds: HostTensor): HostTensor {
  const [rows, length] = targets.shape
  const shifted = new Int32Array(rows * length)
  for (let row = 0; row < rows; row++) {
    for (let i = row * length + 1; i < (row + 1) * length; i++) {
      const sameSegment = segmentIds.data[i] === segmentIds.data[i - 1]
      shifted[i] = sameSegment ? Number(targets.data[i - 1]) : PAD_ID
    }
  }
  return hostTensor('int32', targets.shape, shifted)
}

function lossWeights(targets: HostTensor): HostTensor {
  const weights = new Float32Array(targets.data.length)
  for (let i = 0; i < weights.length; i++) weights[i] = targets.data[i] === PAD_ID ? 0 : 1
  return hostTensor('float32', targets.shape, weights)
}
