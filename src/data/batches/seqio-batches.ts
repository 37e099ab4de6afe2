import * as z from 'zod'
import { ConfigError } from '../../base/errors.js'
import { T5_SPECIAL_IDS } from '../../base/special-ids.js'
import type { SpecialIds } from '../../base/special-ids.js'
import { HASH_SEED, hashStep, mix32 } from '../../base/hash.js'
import { stackRows } from '../converters/batch.js'
import { encDecRow } from '../converters/enc-dec.js'
import { mapDataset } from '../dataset.js'
import type { Dataset } from '../dataset.js'
import type { IteratorState, TrainBatch } from '../iterator.js'
import { countTokens } from '../packing/segments.js'
import type { TokenFields } from '../packing/segments.js'
import { withModelEos } from '../packing/target-eos.js'
import type { TargetEos } from '../packing/target-eos.js'
import { PackedDataset } from '../packing/trim-and-pack.js'
import type { PackedRow } from '../packing/trim-and-pack.js'
import { seqioPipeline } from '../pipeline.js'
import type { PipelineOptions } from '../pipeline.js'
import type { Fields } from '../preprocessor.js'
import { storeFields } from '../streams/field-store.js'
import type { BatchStream } from './stream.js'

export interface SeqioBatchesOptions extends Omit<PipelineOptions, 'epochs' | 'lengths'> {
  readonly rows: number
  readonly inputLength: number
  readonly targetLength: number
  /** The token from which the decoder starts each target, and the id of padding, which is 0 in SeqIO. Default: T5's. */
  readonly specialIds?: Pick<SpecialIds, 'padId' | 'decoderStartId'>
  /** The EOS to replace at the end of targets: see `targetEosOf`. Default: none. */
  readonly targetEos?: TargetEos
  /** Packs first fit, as SeqIO does with `use_custom_packing_ops`. Default: false, next fit. */
  readonly useCustomPackingOps?: boolean
  /** A hash of all that the examples are made from, which the state holds. Default: a sample of the examples alone. */
  readonly content?: number
}

const stateSchema = z.looseObject({
  fingerprint: z.int(),
  /** As in the options. Runs of older versions did not record it. */
  content: z.int().optional(),
  /** The block of examples that is being packed, and the first of its rows that is in no batch yet. */
  block: z.int().min(0),
  row: z.int().min(0),
})

/** The fingerprint reads this many examples; `content` covers the rest. */
const FINGERPRINT_EXAMPLES = 64

/**
 * The very batches that T5X trains on: a task's examples as SeqIO makes and shuffles them (`seqioPipeline`), endlessly
 * repeated, packed by SeqIO's algorithm (`EncDecFeatureConverter`), `rows` rows a batch. Only SeqIO's sharding by host
 * and by file is left out. The preprocessors must give token ids under `inputs` and `targets`, with EOS. Token ids
 * before the cache placeholder are stored, 4 bytes each.
 *
 * Batches are denser in `TrainIterator`, which fills many rows at once; use this class to repeat a run of T5X. The
 * state is two integers, and going on from it packs no earlier example.
 */
export class SeqioBatches implements BatchStream {
  readonly skipped = 0
  readonly truncated = 0
  secondsWaited = 0
  private readonly packed: PackedDataset
  private readonly fingerprint: number
  private block = 0
  private row = 0
  private rows: readonly PackedRow[] = []
  private examplesInEpoch = 0
  /** The stored examples before the cache placeholder. */
  private stable: Dataset<Fields> | undefined

  /** Throws a ConfigError if the source gives no examples, or the model's padding id is not SeqIO's. */
  constructor(
    private readonly source: Dataset<Fields>,
    private readonly options: SeqioBatchesOptions,
  ) {
    const { padId } = options.specialIds ?? T5_SPECIAL_IDS
    if (padId !== T5_SPECIAL_IDS.padId)
      throw new ConfigError(
        `the padding id of this model is ${padId}, and in SeqIO's batches it is 0: set train.dataOrder=dense`,
      )
    const examples = this.examples(null)
    if (examples.length === 0) throw new ConfigError('there are no examples to train on')
    this.fingerprint = fingerprintOf(examples)
    const { useCustomPackingOps: useCustomOps } = options
    this.packed = new PackedDataset(examples, this.lengths, { useCustomOps })
    this.rows = this.packed.block(0)
  }

  get epochs(): number {
    this.examplesInEpoch ||= this.examples(1).length
    const used = this.rows.slice(0, this.row).reduce((sum, { members }) => sum + members.length, 0)
    return (this.block * this.packed.blockSize + used) / this.examplesInEpoch
  }

  next(): Promise<TrainBatch> {
    const start = performance.now()
    const rows = Array.from({ length: this.options.rows }, () => this.nextRow())
    const { decoderStartId } = this.options.specialIds ?? T5_SPECIAL_IDS
    const features = stackRows(rows.map(row => withoutPadding(encDecRow(row.features, decoderStartId))))
    const batch = {
      features,
      examples: rows.reduce((sum, { members }) => sum + members.length, 0),
      tokens: rows.reduce((sum, row) => sum + countTokens(row.features.inputs) + countTokens(row.features.targets), 0),
    }
    this.secondsWaited += (performance.now() - start) / 1000
    return Promise.resolve(batch)
  }

  state(): IteratorState {
    const { fingerprint, block, row } = this
    const { seed, content } = this.options
    return { seed, fingerprint, ...(content !== undefined && { content }), block, row, carried: [] }
  }

  restore(saved: unknown): void {
    const result = stateSchema.safeParse(saved)
    if (!result.success) throw new ConfigError(`not the state of SeqIO's batches: ${z.prettifyError(result.error)}`)
    const { fingerprint, content, block, row } = result.data
    const known = this.options.content
    if (fingerprint !== this.fingerprint || (content !== undefined && known !== undefined && content !== known))
      throw new ConfigError(
        'the training examples differ from those that this run began with; resuming needs the same data, preprocessors, lengths and seed',
      )
    this.rows = this.packed.block(block)
    if (row > this.rows.length)
      throw new ConfigError(`not the state of SeqIO's batches: block ${block} has ${this.rows.length} rows, not ${row}`)
    this.block = block
    this.row = row
  }

  stop(): Promise<void> {
    return Promise.resolve()
  }

  private get lengths(): { inputs: number; targets: number } {
    return { inputs: this.options.inputLength, targets: this.options.targetLength }
  }

  private examples(epochs: number | null): Dataset<TokenFields> {
    const { options, lengths } = this
    const cache = options.cache ?? storeFields
    const examples = seqioPipeline(this.source, {
      ...options,
      epochs,
      lengths,
      cache: stable => (this.stable ??= cache(stable)),
    }) as Dataset<TokenFields>
    const { targetEos } = options
    if (targetEos === undefined) return examples
    return mapDataset(examples, fields => ({ ...fields, targets: withModelEos(fields.targets, targetEos) }))
  }

  private nextRow(): PackedRow {
    if (this.row === this.rows.length) {
      this.rows = this.packed.block(++this.block)
      this.row = 0
    }
    return this.rows[this.row++]
  }
}

/** A 32-bit hash of the first examples. */
function fingerprintOf(examples: Dataset<TokenFields>): number {
  let hash = HASH_SEED
  for (let i = 0; i < FINGERPRINT_EXAMPLES; i++) {
    const { inputs, targets } = examples.get(i)
    for (const ids of [inputs, targets]) for (const id of ids) hash = hashStep(hash, id)
  }
  return mix32(hash)
}

/**
 * A row whose segments leave out every 0. T5X takes each 0 for padding, and SeqIO's custom packing gives a 0 inside a
 * sequence the segment of the sequence.
 */
function withoutPadding(row: TokenFields): TokenFields {
  const segments = (ids: string, tokens: string): Int32Array => row[ids].map((id, i) => (row[tokens][i] === 0 ? 0 : id))
  return {
    ...row,
    encoder_segment_ids: segments('encoder_segment_ids', 'encoder_input_tokens'),
    decoder_segment_ids: segments('decoder_segment_ids', 'decoder_target_tokens'),
  }
}
