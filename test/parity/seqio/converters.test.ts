import { describe, expect, it } from 'vitest'
import type { FeatureConverter } from '../../../src/data/converters/converter.js'
import { encDecConverter, prePackedEncDecConverter } from '../../../src/data/converters/enc-dec.js'
import { encoderConverter } from '../../../src/data/converters/encoder.js'
import { lmConverter } from '../../../src/data/converters/lm.js'
import { prefixLmConverter } from '../../../src/data/converters/prefix-lm.js'
import { prefixSuffixLmConverter } from '../../../src/data/converters/prefix-suffix-lm.js'
import { ConfigError } from '../../../src/base/errors.js'
import { allOf, seqioCases, tokenExamples, toLists } from './cases.js'
import type { Lists } from './cases.js'

interface Args {
  pack?: boolean
  use_custom_packing_ops?: boolean
  apply_length_check?: boolean
  bos_id?: number
  loss_on_targets_only?: boolean
  mask_id?: number
}

interface ConverterCase {
  args: Args
  task_feature_lengths: Record<string, number>
  input: Lists[]
  output?: Lists[]
  model_feature_lengths?: Record<string, number>
  error?: string
}

const makers: Record<string, (args: Args) => FeatureConverter> = {
  EncDec: args => encDecConverter(optionsOf(args)),
  PrePackedEncDec: args => prePackedEncDecConverter(optionsOf(args)),
  LM: args => lmConverter(optionsOf(args)),
  PrefixLM: args => prefixLmConverter({ ...optionsOf(args), lossOnTargetsOnly: args.loss_on_targets_only }),
  PrefixSuffixLM: args => prefixSuffixLmConverter(optionsOf(args)),
  Encoder: args => encoderConverter({ ...optionsOf(args), maskId: args.mask_id! }),
}

const optionsOf = (args: Args) => ({
  pack: args.pack,
  useCustomPackingOps: args.use_custom_packing_ops,
  applyLengthCheck: args.apply_length_check,
  bosId: args.bos_id,
})

const cases = seqioCases<Record<string, ConverterCase[]>>('converters.json')

describe('feature converters', () => {
  it.each(Object.keys(makers))('%s', name => {
    for (const { args, task_feature_lengths: lengths, input, ...expected } of cases[name] ?? []) {
      const converter = makers[name](args)
      const convert = () => allOf(converter.convert(tokenExamples(input), lengths)).map(toLists)
      const what = JSON.stringify({ args, lengths, input })
      if (expected.error !== undefined) {
        expect(convert, what).toThrow(ConfigError)
        continue
      }
      expect(convert(), what).toEqual(expected.output)
      expect(converter.modelFeatureLengths(lengths), what).toEqual(expected.model_feature_lengths)
    }
  })

  it('are all known', () => {
    expect(Object.keys(cases).filter(name => !(name in makers))).toEqual([])
  })
})
