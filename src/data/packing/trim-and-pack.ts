import { ConfigError } from '../../base/errors.js'
import { PAD_ID } from '../../text/vocabulary.js'
import type { Dataset } from '../dataset.js'
import { GrowingSums } from '../stages/growing-sums.js'
import { FirstFit } from './first-fit.js'
import { nextFit } from './next-fit.js'
import { countTokens, layOut } from './segments.js'
import type { FeatureLengths, TokenFields } from './segments.js'

/** Tensor2Tensor's packing op tries this many rows, those that were opened last. */
const OPEN_ROWS = 1000

/** A block that has been packed. Its rows are laid out when they are asked for. */
interface PackedBlock {
  readonly block: number
  /** The tokens of the block's examples: [example][feature]. */
  readonly sequences: readonly (readonly Int32Array[])[]
  /** The examples of each row, counted from the block's first. */
  readonly plan: readonly (readonly number[])[]
}

/** A row of a packed dataset. */
export interface PackedRow {
  /** `NAME`, `NAME_segment_ids` and `NAME_positions` of each feature, as long as the feature's row. */
  readonly features: TokenFields
  /** The indices, in the dataset that was packed, of the row's examples. */
  readonly members: readonly number[]
}

/**
 * SeqIO's `trim_and_pack_dataset`, exact: features are cut to their `lengths`, and examples are put together in rows of
 * these lengths. Features without a length are dropped.
 *
 * - As in SeqIO, blocks of as many examples as the longest row has tokens are packed separately. A block's last row may
 *   therefore be nearly empty, and a row can be computed from its block alone, which makes random access cheap.
 * - By default rows are packed next fit, and a sequence that is empty in one feature gets no segment id there: the
 *   segment ids of a row's features then disagree. With `useCustomOps` they are packed first fit, and the ids agree.
 * - A sequence ends after as many tokens as it has that are not 0. A 0 inside it therefore drops tokens at its end.
 *
 * Throws a ConfigError at an example that lacks a feature.
 */
export class PackedDataset implements Dataset<TokenFields> {
  private readonly names: readonly string[]
  private readonly capacities: readonly number[]
  /** The number of examples that are packed together. */
  readonly blockSize: number
  /** The rows of each block, as far as they have been counted. */
  private readonly rows: GrowingSums
  private latest: PackedBlock | undefined

  constructor(
    private readonly examples: Dataset<TokenFields>,
    lengths: FeatureLengths,
    private readonly options: { readonly useCustomOps?: boolean } = {},
  ) {
    this.names = Object.keys(lengths)
    this.capacities = Object.values(lengths)
    for (const [name, length] of Object.entries(lengths)) {
      if (!Number.isInteger(length) || length < 1)
        throw new ConfigError(`a row of the feature "${name}" must have 1 or more tokens, not ${length}`)
    }
    if (this.names.length === 0) throw new ConfigError('packing needs the length of at least one feature')
    this.blockSize = Math.max(...this.capacities)
    // The number of examples is asked for when rows are read: to count them may take a pass over them.
    const blocks = (): number => this.blocks
    const items = {
      get length() {
        return blocks()
      },
    }
    this.rows = new GrowingSums(items, block => this.open(block).plan.length)
  }

  /** The number of blocks; Infinity if the examples repeat forever. */
  get blocks(): number {
    return Math.ceil(this.examples.length / this.blockSize)
  }

  /** The number of rows. The first call packs all examples. */
  get length(): number {
    return this.rows.total
  }

  /** A row's features. The first access to a row packs the blocks before it; `block` needs no other block. */
  get(index: number): TokenFields {
    return this.row(index).features
  }

  /** A row, with the indices of its examples. */
  row(index: number): PackedRow {
    const { item: block, before } = this.rows.find(index)
    return this.rowOf(this.open(block), index - before)
  }

  /** The rows of one block. They depend only on the block's examples. */
  block(block: number): readonly PackedRow[] {
    const opened = this.open(block)
    return opened.plan.map((_, place) => this.rowOf(opened, place))
  }

  private open(block: number): PackedBlock {
    if (this.latest?.block !== block) {
      const sequences = this.sequences(block)
      this.latest = { block, sequences, plan: this.plan(sequences) }
    }
    return this.latest
  }

  private rowOf({ block, sequences, plan }: PackedBlock, place: number): PackedRow {
    return {
      features: this.layOut(plan[place].map(i => sequences[i])),
      members: plan[place].map(i => block * this.blockSize + i),
    }
  }

  /** The tokens of a block's examples: [example][feature]. */
  private sequences(block: number): Int32Array[][] {
    const first = block * this.blockSize
    const end = Math.min(first + this.blockSize, this.examples.length)
    return Array.from({ length: end - first }, (_, i) => {
      const example = this.examples.get(first + i)
      return this.names.map((name, f) => {
        if (!(name in example)) throw new ConfigError(`example ${first + i} has no feature "${name}" to pack`)
        const trimmed = example[name].subarray(0, this.capacities[f])
        return trimmed.subarray(0, countTokens(trimmed))
      })
    })
  }

  /** The examples of each of a block's rows, counted from the block's first. */
  private plan(sequences: readonly (readonly Int32Array[])[]): number[][] {
    const sizes = sequences.map(example => example.map(sequence => sequence.length))
    if (!this.options.useCustomOps) return nextFit(sizes, this.capacities)
    const fit = new FirstFit(this.capacities, sizes.length, OPEN_ROWS)
    const rows: number[][] = []
    sizes.forEach((size, example) => {
      const row = fit.place(size)
      if (row === rows.length) rows.push([])
      rows[row].push(example)
    })
    return rows
  }

  /** The features of a row of examples. */
  private layOut(examples: readonly (readonly Int32Array[])[]): TokenFields {
    const { useCustomOps } = this.options
    const features = this.names.map((name, f) => {
      const sequences = examples.map(example => example[f])
      if (useCustomOps) return layOut(name, sequences, this.capacities[f])
      // SeqIO's own op gives segment ids to sequences with tokens only, and none to a 0 inside a sequence.
      const withTokens = sequences.filter(sequence => sequence.length > 0)
      const row = layOut(name, withTokens, this.capacities[f])
      const { [name]: tokens, [`${name}_segment_ids`]: segmentIds } = row
      for (let i = 0; i < tokens.length; i++) if (tokens[i] === PAD_ID) segmentIds[i] = 0
      return row
    })
    return Object.assign({}, ...features) as TokenFields
  }
}
