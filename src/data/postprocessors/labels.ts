import { pythonFloat, pythonLower } from '../../text/python-text.js'
import type { Postprocessor } from './postprocessor.js'

/** The number that a text is, read as Python's `float()` does; `default` for other texts. T5's `string_to_float`. */
export const stringToFloat =
  ({ default: other = -1 }: { readonly default?: number } = {}): Postprocessor =>
  text =>
    pythonFloat(text) ?? other

/** The text in lower case. T5's `lower_text`. */
export const lowerText = (): Postprocessor => pythonLower

/** The index of the text among the class names; `default` for other texts. T5's `string_label_to_class_id`. */
export const stringLabelToClassId =
  ({
    labelClasses,
    default: other = -1,
  }: {
    readonly labelClasses: readonly string[]
    readonly default?: number
  }): Postprocessor =>
  text => {
    const index = labelClasses.indexOf(text)
    return index < 0 ? other : index
  }
