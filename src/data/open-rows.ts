import { check } from '../base/errors.js'
import { T5_SPECIAL_IDS } from '../base/special-ids.js'
import type { SpecialIds } from '../base/special-ids.js'
import { stackRows } from './converters/batch.js'
import type { PackedFeatures } from './converters/batch.js'
import { encDecRow } from './converters/enc-dec.js'
import type { TokenExample } from './features.js'
import { FirstFit } from './packing/first-fit.js'
import { layOut } from './packing/segments.js'
import type { TokenFields } from './packing/segments.js'
import { withModelEos } from './packing/target-eos.js'
import type { TargetEos } from './packing/target-eos.js'

/** The sizes of a packed batch: its rows, and a row's length in tokens on each side. */
export interface PackedSize {
  readonly rows: number
  readonly inputLength: number
  readonly targetLength: number
  /**
   * Whether a row may hold several examples. If not, each has a row of its own, filled up with padding. Default: true.
   */
  readonly packing?: boolean
  /** The id of padding, and the token from which the decoder starts each target. Default: T5's. */
  readonly specialIds?: Pick<SpecialIds, 'padId' | 'decoderStartId'>
  /** The EOS to replace at the end of targets: see `targetEosOf`. Default: none. */
  readonly targetEos?: TargetEos
}

/**
 * The rows of a batch while it is packed. An example goes into the first row that has room for both its input and
 * target.
 */
export class OpenRows {
  /** The examples of each row, in order. */
  readonly rows: readonly TokenExample[][]
  private readonly fit: FirstFit

  constructor(readonly size: PackedSize) {
    this.rows = Array.from({ length: size.rows }, () => [])
    this.fit = new FirstFit([size.inputLength, size.targetLength], size.rows)
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
        `an example of ${inputs}+${targets} tokens cannot fit a row of ${this.size.inputLength}+${this.size.targetLength}: leave longer examples out, or cut them`,
    )
    const { packing = true, inputLength, targetLength } = this.size
    const row = this.fit.place(packing ? [inputs, targets] : [inputLength, targetLength])
    if (row >= 0) this.rows[row].push(example)
    return row >= 0
  }

  /** Whether no row has room for an example of one token on each side. */
  get full(): boolean {
    return this.fit.full
  }

  /** The features of the rows as filled so far. */
  features(): PackedFeatures {
    const { inputLength, targetLength, specialIds = T5_SPECIAL_IDS, targetEos } = this.size
    const { padId, decoderStartId } = specialIds
    const row = (examples: readonly TokenExample[]): TokenFields => {
      const inputs = examples.map(example => example.inputs)
      const targets = examples.map(example => withModelEos(example.targets, targetEos))
      const features = {
        ...layOut('inputs', inputs, inputLength, padId),
        ...layOut('targets', targets, targetLength, padId),
      }
      // A target may have the padding id, as the EOS of some models does: segments say where padding is.
      return encDecRow(features, decoderStartId, features.targets_segment_ids.map(Math.sign))
    }
    return stackRows(this.rows.map(row))
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
