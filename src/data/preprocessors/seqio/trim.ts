import type { Preprocessor } from '../../preprocessor.js'
import type { FeatureLengths } from '../../packing/segments.js'
import { trimAndPad } from '../../packing/trim-and-pad.js'
import { mapFields, mapPreprocessor } from './map-preprocessor.js'
import { changeTokens } from './tokens.js'

/** SeqIO's `trim_dataset`: cuts the end of each of the task's features that is longer than its length. */
export const trimDataset = (): Preprocessor =>
  mapPreprocessor('trimDataset', (example, { features, lengths }) =>
    mapFields(example, (value, name) =>
      lengths !== null && name in lengths && name in features
        ? changeTokens(value, name, tokens => tokens.subarray(0, lengths[name]))
        : value,
    ),
  )

/** SeqIO's `trim_and_pad_dataset`: cuts each feature with a length to it, or pads it with 0. Other fields are kept. */
export const trimAndPadDataset = (featureLengths: FeatureLengths): Preprocessor =>
  mapPreprocessor('trimAndPadDataset', example =>
    mapFields(example, (value, name) =>
      name in featureLengths ? changeTokens(value, name, tokens => trimAndPad(tokens, featureLengths[name])) : value,
    ),
  )

/**
 * SeqIO's `truncate_inputs_left`: keeps the last tokens of `inputs`, as many as its length. As in SeqIO, a length of 0
 * keeps all of them.
 */
export const truncateInputsLeft = (): Preprocessor =>
  mapPreprocessor('truncateInputsLeft', (example, { lengths }) => {
    if (lengths === null || !('inputs' in lengths)) return example
    return { ...example, inputs: changeTokens(example.inputs, 'inputs', tokens => tokens.slice(-lengths.inputs)) }
  })
