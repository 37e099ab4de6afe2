import { ConfigError } from '../../base/errors.js'
import { mapDataset } from '../dataset.js'
import type { Dataset } from '../dataset.js'
import type { FeatureLengths, TokenFields } from '../packing/segments.js'
import { PackedDataset } from '../packing/trim-and-pack.js'
import { trimAndPad } from '../packing/trim-and-pad.js'

/** The choices that SeqIO's feature converters have in common. */
export interface ConverterOptions {
  /** Whether a row holds several examples; if not, each example is padded to a row. Default: true. */
  readonly pack?: boolean
  /** Whether to pack first fit, as SeqIO does with Tensor2Tensor's op, instead of next fit. Default: false. */
  readonly useCustomPackingOps?: boolean
  /** Whether an example that is longer than a row is an error; if not, its end is cut off. Default: true. */
  readonly applyLengthCheck?: boolean
  /** The token that begins a decoder's inputs. Default: 0. */
  readonly bosId?: number
}

/**
 * Turns the features of a task, such as `inputs` and `targets`, into the features of one kind of model, such as
 * `encoder_input_tokens`: one row of a batch an example, or several examples a row if it packs.
 */
export interface FeatureConverter {
  /** The start of SeqIO's name for it: `EncDec` of `EncDecFeatureConverter`. */
  readonly name: string
  /** The task's features that are converted. Other features of the examples are dropped. */
  readonly taskFeatures: readonly string[]
  /** The row length of each of the model's features, given those of the task's features. */
  modelFeatureLengths(lengths: FeatureLengths): FeatureLengths
  /**
   * The rows of a dataset. `lengths` must have the row length of each of the task's features and no other. Reading a
   * row throws a ConfigError if an example of it lacks a feature or is longer than a row.
   */
  convert(examples: Dataset<TokenFields>, lengths: FeatureLengths): Dataset<TokenFields>
}

/** What distinguishes one converter. */
export interface ConverterDefinition {
  readonly name: string
  readonly taskFeatures: readonly string[]
  /** Makes the features that are packed or padded. By default these are the task's features. */
  readonly join?: {
    readonly example: (example: TokenFields) => TokenFields
    readonly lengths: (lengths: FeatureLengths) => FeatureLengths
  }
  /** The model's features of a row. If rows are packed, it has `NAME_segment_ids` and `NAME_positions` too. */
  readonly model: (row: TokenFields) => TokenFields
}

export function defineConverter(definition: ConverterDefinition, options: ConverterOptions): FeatureConverter {
  const { name, taskFeatures, join, model } = definition
  const { pack = true, useCustomPackingOps = false, applyLengthCheck = true } = options

  const rowLengths = (lengths: FeatureLengths): FeatureLengths => {
    checkFeatures(definition, lengths)
    return join ? join.lengths(lengths) : lengths
  }
  const pick = (example: TokenFields, index: number, lengths: FeatureLengths): TokenFields => {
    const picked: Record<string, Int32Array> = {}
    for (const feature of taskFeatures) {
      const tokens = (example as Partial<TokenFields>)[feature]
      if (tokens === undefined)
        throw new ConfigError(`example ${index} has no feature "${feature}", which ${name} needs`)
      if (applyLengthCheck && tokens.length > lengths[feature]) {
        throw new ConfigError(
          `the feature "${feature}" of example ${index} has ${tokens.length} tokens, its row ${lengths[feature]}: trim the examples or raise the length`,
        )
      }
      picked[feature] = tokens
    }
    return join ? join.example(picked) : picked
  }

  return {
    name,
    taskFeatures,
    modelFeatureLengths(lengths) {
      // The features of an empty row have the right lengths.
      return mapValues(model(emptyRow(rowLengths(lengths), pack)), feature => feature.length)
    },
    convert(examples, lengths) {
      const joined = rowLengths(lengths)
      const picked = mapDataset(examples, (example, index) => pick(example, index, lengths))
      return mapDataset(
        pack
          ? new PackedDataset(picked, joined, { useCustomOps: useCustomPackingOps })
          : mapDataset(picked, example => mapValues(joined, (length, feature) => trimAndPad(example[feature], length))),
        model,
      )
    },
  }
}

function checkFeatures({ name, taskFeatures }: ConverterDefinition, lengths: FeatureLengths): void {
  const missing = taskFeatures.filter(feature => !(feature in lengths))
  const unknown = Object.keys(lengths).filter(feature => !taskFeatures.includes(feature))
  if (missing.length + unknown.length > 0) {
    throw new ConfigError(
      `${name} needs the lengths of exactly the features ${taskFeatures.join(', ')}; given are ${Object.keys(lengths).join(', ') || 'none'}`,
    )
  }
}

function emptyRow(lengths: FeatureLengths, packed: boolean): TokenFields {
  const row: Record<string, Int32Array> = {}
  for (const [name, length] of Object.entries(lengths)) {
    for (const suffix of packed ? ['', '_segment_ids', '_positions'] : ['']) row[name + suffix] = new Int32Array(length)
  }
  return row
}

const mapValues = <A, B>(record: { readonly [name: string]: A }, change: (value: A, name: string) => B) =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value, name)]))
