import type { Fields, Preprocessor } from '../../preprocessor.js'
import { flatMapDataset } from '../../stages/flat-map.js'
import { textAt, textsAt } from './fields.js'
import { compileRe2 } from './re2.js'
import { joinCollapsed, lowerAscii, padPunctuation } from './tensorflow-text.js'

const name = 'triviaQa'

/**
 * T5's `trivia_qa`: an example `{ inputs: 'question: ... context: ...', targets: alias }` for each context and each
 * alias of the answer that occurs in it. Contexts are those of `entity_pages/wiki_context`, then of
 * `search_results/search_context`; aliases are `answer/normalized_aliases`. As in T5, an alias is a regular expression
 * (RE2), and ASCII letters match in any case. Throws a ConfigError for an alias that is no regular expression.
 */
export const triviaQa = (): Preprocessor => ({ name, apply: dataset => flatMapDataset(dataset, pairsOf) })

function pairsOf(example: Fields): Fields[] {
  const question = padPunctuation(textAt(example, 'question', name))
  const aliases = textsAt(example, 'answer/normalized_aliases', name).map(text => {
    const alias = padPunctuation(text)
    return { alias, occursIn: matcherOf(lowerAscii(alias)) }
  })
  const contexts = [
    ...('entity_pages' in example ? textsAt(example, 'entity_pages/wiki_context', name) : []),
    ...('search_results' in example ? textsAt(example, 'search_results/search_context', name) : []),
  ].map(padPunctuation)
  return contexts.flatMap(context => {
    const lower = lowerAscii(context)
    const inputs = joinCollapsed('question:', question, 'context:', context)
    return aliases.filter(({ occursIn }) => occursIn(lower)).map(({ alias }) => ({ inputs, targets: alias }))
  })
}

/** Whether an alias occurs in a text. Most aliases have no character with a meaning in regular expressions. */
function matcherOf(alias: string): (text: string) => boolean {
  if (!/[\\^$.*+?()[\]{}|]/.test(alias)) return text => text.includes(alias)
  const expression = compileRe2(`.*${alias}.*`, `${name}: the alias ${JSON.stringify(alias)}`)
  return text => expression.matches(text)
}
