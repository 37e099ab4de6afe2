import { fieldOf, textsOf } from './fields.js'
import { stringLabelToClassId } from './labels.js'
import type { Postprocessor } from './postprocessor.js'

/** A prediction is its text; a target is the example's field `answers`, all accepted answers. For `squad`. */
export const qa =
  (): Postprocessor =>
  (text, { example, isTarget }) =>
    isTarget ? textsOf(example, 'answers') : text

/** A prediction is its text; a target is the example's `{ answers, context }`. For `spanSquad`. */
export const spanQa =
  (): Postprocessor =>
  (text, { example, isTarget }) =>
    isTarget ? { answers: textsOf(example, 'answers'), context: fieldOf(example, 'context') } : text

/** `{ value }`: the prediction, or all accepted answers; a target has a `group`, its passage and query. For ReCoRD. */
export const record =
  (): Postprocessor =>
  (text, { example, isTarget }) =>
    isTarget
      ? { value: textsOf(example, 'answers'), group: [fieldOf(example, 'idx/passage'), fieldOf(example, 'idx/query')] }
      : { value: text }

/** `{ value }`: 0 for "False", 1 for "True", -1 for other texts; a target has a `group`, its question. For MultiRC. */
export const multirc = (): Postprocessor => {
  const classOf = stringLabelToClassId({ labelClasses: ['False', 'True'] })
  return (text, context) => ({
    value: classOf(text, context),
    ...(context.isTarget ? { group: fieldOf(context.example, 'idx/question') } : {}),
  })
}
