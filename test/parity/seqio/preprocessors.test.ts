import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { shiftRight } from '../../../src/data/converters/autoregressive.js'
import { datasetOf } from '../../../src/data/dataset.js'
import type { Feature, Fields, FieldValue, Preprocessor } from '../../../src/data/preprocessor.js'
import { appendEos, appendEosAfterTrim } from '../../../src/data/preprocessors/seqio/eos.js'
import { preprocessTensorflowExamples } from '../../../src/data/preprocessors/seqio/preprocess-tensorflow-examples.js'
import { rekey } from '../../../src/data/preprocessors/seqio/rekey.js'
import { tokenize, tokenizeAndAppendEos } from '../../../src/data/preprocessors/seqio/tokenize.js'
import { trimAndPadDataset, trimDataset, truncateInputsLeft } from '../../../src/data/preprocessors/seqio/trim.js'
import { ByteVocabulary } from '../../../src/text/bytes.js'
import { SentencePieceVocabulary } from '../../../src/text/sentencepiece.js'
import type { Vocabulary } from '../../../src/text/vocabulary.js'
import { allOf, seqioCases } from './cases.js'

interface Args {
  key_map?: Record<string, string | null> | null
  vocabulary?: string
  inputs_add_eos?: boolean
  targets_add_eos?: boolean
  copy_pretokenized?: boolean
  with_eos?: boolean
  features?: Record<string, { add_eos: boolean; eos_id: number }>
  sequence_length?: Record<string, number | null> | null
  output_features?: string[]
  feature_lengths?: Record<string, number>
  inputs_format?: string
  targets_format?: string
}

type Json = Record<string, string | number[]>
interface PreprocessorCase {
  args: Args
  input: Json[]
  output: Json[]
}
interface ShiftCase {
  args: { targets: number[]; sequence_id: number[] | null; bos_id: number }
  output: number[]
}
type Cases = { make_autoregressive_inputs?: ShiftCase[] } & Record<string, PreprocessorCase[]>

const makers: Record<string, (args: Args) => Preprocessor> = {
  rekey: args => rekey(args.key_map),
  tokenize: args => tokenize({ copyPretokenized: args.copy_pretokenized, withEos: args.with_eos }),
  tokenize_and_append_eos: args => tokenizeAndAppendEos({ copyPretokenized: args.copy_pretokenized }),
  append_eos: appendEos,
  append_eos_after_trim: appendEosAfterTrim,
  truncate_inputs_left: truncateInputsLeft,
  preprocess_tensorflow_examples: args => preprocessTensorflowExamples(args.inputs_format!, args.targets_format!),
  trim_dataset: trimDataset,
  trim_and_pad_dataset: args => trimAndPadDataset(args.feature_lengths!),
}

const t5 = readFileSync(join(import.meta.dirname, '../../../assets/t5-vocab/spiece.model'))
const seqio = { reference: 'seqio' } as const
const bytes = new ByteVocabulary(0, seqio)
const vocabularies: Record<string, Vocabulary> = {
  sentencepiece: SentencePieceVocabulary.fromModel(t5, 100, seqio),
  byte: bytes,
}

/** The features that a case's arguments describe. */
function featuresOf(args: Args): Record<string, Feature> {
  if (args.vocabulary !== undefined) {
    const vocabulary = vocabularies[args.vocabulary]
    return {
      inputs: { vocabulary, addEos: args.inputs_add_eos },
      targets: { vocabulary, addEos: args.targets_add_eos },
    }
  }
  const withEosId = (eosId: number): Vocabulary => Object.create(bytes, { eosId: { value: eosId } }) as Vocabulary
  return Object.fromEntries([
    ...(args.output_features ?? []).map(name => [name, { vocabulary: bytes }]),
    ...Object.entries(args.features ?? {}).map(([name, feature]) => [
      name,
      { vocabulary: withEosId(feature.eos_id), addEos: feature.add_eos },
    ]),
  ]) as Record<string, Feature>
}

/** A null length is no limit. */
const lengthsOf = ({ sequence_length: lengths }: Args): Record<string, number> | null =>
  lengths == null
    ? null
    : Object.fromEntries(Object.entries(lengths).filter((entry): entry is [string, number] => entry[1] !== null))

const fieldsOf = (example: Json): Fields =>
  mapValues(example, value => (typeof value === 'string' ? value : Int32Array.from(value)))
const jsonOf = (example: Fields) =>
  mapValues(example, value => (typeof value === 'string' ? value : [...(value as Int32Array)]))
const mapValues = <A, B>(record: { readonly [name: string]: A }, change: (value: A) => B): Record<string, B> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]))

const cases = seqioCases<Cases>('seqio_preprocessors.json')
const seeds = {
  take: (): number => {
    throw new Error('no preprocessor of SeqIO itself is random')
  },
}

describe("SeqIO's preprocessors", () => {
  it.each(Object.keys(makers))('%s', name => {
    for (const { args, input, output } of cases[name] ?? []) {
      const context = { seeds, lengths: lengthsOf(args), features: featuresOf(args) }
      const result = makers[name](args).apply(datasetOf(input.map(fieldsOf)), context)
      expect(allOf(result).map(jsonOf), JSON.stringify(args)).toEqual(output)
    }
  })

  it('make_autoregressive_inputs', () => {
    for (const { args, output } of cases.make_autoregressive_inputs ?? []) {
      const segmentIds = args.sequence_id === null ? undefined : Int32Array.from(args.sequence_id)
      expect([...shiftRight(Int32Array.from(args.targets), segmentIds, args.bos_id)]).toEqual(output)
    }
  })

  it('are all known', () => {
    const known = [...Object.keys(makers), 'make_autoregressive_inputs']
    expect(Object.keys(cases).filter(name => !known.includes(name))).toEqual([])
  })

  it('format texts with the names of fields, as SeqIO splits them', () => {
    const format = (text: string): FieldValue =>
      preprocessTensorflowExamples(text, '')
        .apply(datasetOf([{ 'a.b': 'X', b: 'Y' }]), { seeds, lengths: null, features: {} })
        .get(0).inputs
    expect(format('{b}{a.b}{axb}{} {{b}}')).toBe('YX{axb}{} {Y}')
    expect(format('{b}(b){b} (b)')).toBe('YYY (b)')
  })

  it('treat lists of sequences as SeqIO treats ragged tensors', () => {
    const features = { inputs: { vocabulary: bytes } }
    const context = { seeds, lengths: { inputs: 2 }, features }
    const apply = (preprocessor: Preprocessor, inputs: FieldValue) =>
      preprocessor.apply(datasetOf([{ inputs }]), context).get(0).inputs
    const tokens = [Int32Array.of(100), Int32Array.of(101, 101)]
    expect(apply(tokenizeAndAppendEos(), ['a', 'bb'])).toEqual([tokens[0], Int32Array.of(101, 101, 1)])
    expect(apply(appendEos(), tokens)).toEqual([Int32Array.of(100, 1), Int32Array.of(101, 101, 1)])
    expect(apply(appendEosAfterTrim(), tokens)).toEqual([Int32Array.of(100, 1), Int32Array.of(101, 1)])
    expect(() => apply(appendEos(), 'a')).toThrow(
      'the feature "inputs" must hold token ids, not string: tokenize it first',
    )
    expect(() => apply(tokenize(), 5)).toThrow(/must be a text or a list of texts/)
  })
})
