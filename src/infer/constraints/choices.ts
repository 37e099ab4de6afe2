import { ConfigError } from '../../base/errors.js'
import { targetIds } from '../../text/special-tokens.js'
import type { Vocabulary } from '../../text/vocabulary.js'

/** The tokens that may follow the beginning of a choice, by id. */
export type Choices = Map<number, Choices>

/**
 * The tokens of some texts, as a tree. A text has the tokens that the vocabulary encodes it to, those of training; the
 * model does not choose another division. Throws a ConfigError for a text that the vocabulary cannot write.
 */
export function choiceTree(choices: readonly string[], vocabulary: Vocabulary): Choices {
  if (choices.length === 0) throw new ConfigError('choices is empty: give at least one text')
  const root: Choices = new Map()
  for (const choice of choices) {
    const ids = targetIds(vocabulary, choice)
    if (ids.includes(vocabulary.unkId))
      throw new ConfigError(`the choice ${JSON.stringify(choice)} has text that this model's vocabulary cannot write`)
    let at = root
    for (const id of ids) {
      if (!at.has(id)) at.set(id, new Map())
      at = at.get(id)!
    }
  }
  return root
}
