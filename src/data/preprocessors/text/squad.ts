import { ConfigError } from '../../../base/errors.js'
import { mapDataset } from '../../dataset.js'
import type { Preprocessor } from '../../preprocessor.js'
import { filterDataset } from '../../stages/filter.js'
import { eachExample, textAt, textsAt, valueAt } from './fields.js'
import { joinCollapsed, padPunctuation, spaceSeparatedWords } from './tensorflow-text.js'

/**
 * T5's `squad`: `{ inputs: 'question: ... context: ...', targets: <first answer> }` with `id`, `question`, `context`
 * and all `answers`, from an example `{ id, question, context, answers: { text: [...] } }`. Punctuation gets spaces
 * around it. Without the context the inputs begin with "squad trivia question:". Throws a ConfigError for no answers.
 */
export const squad = ({ includeContext = true }: { readonly includeContext?: boolean } = {}): Preprocessor =>
  eachExample('squad', example => {
    const answers = textsAt(example, 'answers/text', 'squad').map(padPunctuation)
    const question = padPunctuation(textAt(example, 'question', 'squad'))
    const context = padPunctuation(textAt(example, 'context', 'squad'))
    const id = valueAt(example, 'id', 'squad')
    if (answers.length === 0) throw new ConfigError(`squad: the example ${String(id)} has no answers`)
    const inputs = includeContext
      ? joinCollapsed('question:', question, 'context:', context)
      : joinCollapsed('squad trivia question:', question)
    return { inputs, targets: answers[0], id, context, question, answers }
  })

/**
 * T5's `squad_span_space_tokenized`: as `squad`, but the targets are the first place of the answer's words among the
 * context's, as "start: 3 end: 4", counted from 0. An example whose context does not hold the answer is dropped. As in
 * T5, an answer at the very end of the context is not found.
 */
export const squadSpanSpaceTokenized = (): Preprocessor => {
  const name = 'squadSpanSpaceTokenized'
  const texts = squad()
  return {
    name,
    apply(dataset, context) {
      const spans = mapDataset(texts.apply(dataset, context), example => ({
        ...example,
        targets: spanOf(textAt(example, 'context', name), textAt(example, 'targets', name)),
      }))
      return filterDataset(spans, example => example.targets !== '')
    },
  }
}

function spanOf(context: string, answer: string): string {
  const [all, wanted] = [context, answer].map(spaceSeparatedWords)
  for (let start = 0; start < all.length - wanted.length; start++) {
    if (wanted.every((word, i) => word === all[start + i])) return `start: ${start} end: ${start + wanted.length - 1}`
  }
  return ''
}
