import { ConfigError } from '../../base/errors.js'
import { Lru } from '../../base/lru.js'
import type { Vocabulary } from '../../text/vocabulary.js'
import type { ScoreProcessor } from '../processors.js'
import { choiceTree, followingTokens } from './choices.js'
import { Grammar } from './grammar.js'
import { jsonGrammar } from './json-schema.js'
import { Matcher } from './matcher.js'
import { addRegex } from './regex.js'
import { maskTokens, TokenMasks } from './token-masks.js'

/** What an answer must be. At most one of the three is given. */
export interface Constraint {
  /** The answer is one of these texts. */
  readonly choices?: readonly string[]
  /** The answer matches this regular expression of JavaScript (with the flag `u`) as a whole. */
  readonly regex?: string
  /** The answer is JSON that is valid by this JSON Schema. */
  readonly jsonSchema?: object | boolean
}

/** What a constraint needs to know of a model and a row. */
export interface ConstraintContext {
  /** The vocabulary of answers. */
  readonly vocabulary: Vocabulary
  readonly eosIds: readonly number[]
  /** How many tokens of a row are before its answer, the start token included. */
  readonly skipped: number
}

/** Leaves only tokens possible with which an answer keeps to a constraint. Without a constraint: no processor. */
export function constraintProcessors(
  { choices, regex, jsonSchema }: Constraint,
  context: ConstraintContext,
): readonly ScoreProcessor[] {
  const given = Object.entries({ choices, regex, jsonSchema }).flatMap(([name, value]) =>
    value === undefined ? [] : [name],
  )
  if (given.length > 1)
    throw new ConfigError(`${given.join(' and ')} cannot be combined: each says what the whole answer is`)
  if (choices !== undefined) return [choose(choices, context)]
  if (regex !== undefined || jsonSchema !== undefined) return [follow({ regex, jsonSchema }, context)]
  return []
}

function choose(choices: readonly string[], { vocabulary, eosIds, skipped }: ConstraintContext): ScoreProcessor {
  const tree = choiceTree(choices, vocabulary)
  return (scores, tokens) => {
    const before = scores.slice()
    scores.fill(-Infinity)
    for (const id of followingTokens(tree, tokens.slice(skipped)))
      for (const allowed of id === vocabulary.eosId ? eosIds : [id]) scores[allowed] = before[allowed]
  }
}

function follow(constraint: Constraint, { vocabulary, eosIds, skipped }: ConstraintContext): ScoreProcessor {
  const masks = masksOf(constraint, vocabulary)
  return (scores, tokens) => {
    // The first token of an answer after a prefix is a later one.
    const isFirst = (place: number): boolean => place === 1
    let state: ReturnType<TokenMasks['after']> = masks.start
    for (let place = skipped; place < tokens.length && state !== null; place++)
      state = masks.after(state, tokens[place], isFirst(place))
    const allowed = state && masks.allowed(state, isFirst(tokens.length))
    const ends = state?.isEnd === true ? eosIds.map(id => [id, scores[id]]) : []
    for (let id = 0; id < scores.length; id++) if (allowed?.[id] !== 1) scores[id] = -Infinity
    for (const [id, score] of ends) scores[id] = score
  }
}

/** How many constraints of a vocabulary keep their masks. A mask takes one byte for each token. */
const MAX_CONSTRAINTS = 32

const knownMasks = new WeakMap<Vocabulary, Lru<string, TokenMasks>>()

/** Masks of a constraint, which requests that ask for the same share. */
function masksOf(constraint: Constraint, vocabulary: Vocabulary): TokenMasks {
  let known = knownMasks.get(vocabulary)
  if (known === undefined) knownMasks.set(vocabulary, (known = new Lru(MAX_CONSTRAINTS)))
  const key = JSON.stringify(constraint)
  const found = known.get(key)
  if (found) return found
  const tokens = maskTokens(vocabulary)
  const { grammar, start } = grammarOf(constraint)
  grammar.prune(start, tokens.alphabet)
  const masks = new TokenMasks(new Matcher(grammar, start), tokens)
  known.set(key, masks)
  return masks
}

function grammarOf({ regex, jsonSchema }: Constraint): { grammar: Grammar; start: number } {
  try {
    if (regex === undefined) return jsonGrammar(jsonSchema)
    const grammar = new Grammar()
    return { grammar, start: grammar.rule(from => addRegex(grammar, from, regex)) }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new ConfigError('the regular expression or JSON schema is nested too deeply: the stack has no room for it')
  }
}
