import { describe, expect, it } from 'vitest'
import type { Postprocessor } from '../../../src/data/postprocessors/postprocessor.js'
import * as postprocessors from '../../../src/data/postprocessors/postprocessors.js'
import type { Fields } from '../../../src/data/preprocessor.js'
import type { RankedCandidate } from '../../../src/metrics/groups/rank-classification.js'
import { camelKeys, seqioCases } from './cases.js'

interface Case {
  prediction: string
  args: Record<string, unknown> & { example?: Fields; is_target?: boolean }
  passthrough_feature_keys?: string[]
  result: unknown
}

/** Each postprocessor of T5, made from the options of a case. */
const makers: Record<string, (options: never) => Postprocessor> = {
  string_to_float: postprocessors.stringToFloat,
  lower_text: postprocessors.lowerText,
  string_label_to_class_id: postprocessors.stringLabelToClassId,
  multirc: postprocessors.multirc,
  record: postprocessors.record,
  qa: postprocessors.qa,
  span_qa: postprocessors.spanQa,
  wsc_simple: postprocessors.wscSimple,
  rank_classification: postprocessors.rankClassification,
}

/** T5 has a tuple where this project has a record. */
const asTuple = ({ idx, isCorrect, weight, targetLength, passthrough = [] }: RankedCandidate): unknown[] => [
  idx,
  isCorrect,
  weight,
  targetLength,
  ...passthrough,
]

describe('T5 postprocessors equal the reference', () => {
  it.each(Object.entries(seqioCases<Record<string, Case[]>>('postprocessors.json')))('%s', (name, list) => {
    for (const { prediction, args, passthrough_feature_keys, result } of list) {
      const { example = {}, is_target: isTarget = false, ...options } = args
      const keys = passthrough_feature_keys && { passthrough_feature_keys }
      const postprocess = makers[name](camelKeys({ ...options, ...keys }) as never)
      const made = postprocess(prediction, { example, isTarget })
      const value = name === 'rank_classification' && isTarget ? asTuple(made as RankedCandidate) : made
      const expected = { NaN, Infinity, '-Infinity': -Infinity }[result as string] ?? result
      expect(value, JSON.stringify(prediction)).toEqual(name === 'string_to_float' ? expected : result)
    }
  })
})
