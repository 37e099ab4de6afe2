/** T5's postprocessors, under the names of `t5.data.postprocessors`. */

export { lowerText, stringLabelToClassId, stringToFloat } from './labels.js'
export { multirc, qa, record, spanQa } from './questions.js'
export { rankClassification } from './rank-classification.js'
export { wscSimple } from './wsc-simple.js'
