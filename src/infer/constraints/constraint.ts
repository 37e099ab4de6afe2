import { ConfigError } from '../../base/errors.js'
import { Lru } from '../../base/lru.js'
import type { Vocabulary } from '../../text/vocabulary.js'
import type { ScoreProcessor } from '../processors.js'
import { choiceTree } from './choices.js'
import type { Choices } from './choices.js'
import { Grammar } from './grammar.js'
import type { Impossible } from './grammar.js'
import { jsonGrammar } from './json-schema.js'
import { Matcher } from './matcher.js'
import type { State } from './matcher.js'
import { addRegex, shortRegex } from './regex.js'
import { RowStates } from '../row-states.js'
import { maskTokens, TokenMasks } from './token-masks.js'
import { WorkLimit } from './work-limit.js'

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
  const states = new RowStates<Choices | undefined>(choiceTree(choices, vocabulary), skipped, (at, token) =>
    at?.get(token),
  )
  return (scores, tokens) => {
    const at = states.of(tokens)
    const before = scores.slice()
    scores.fill(-Infinity)
    for (const id of at?.keys() ?? [])
      for (const allowed of id === vocabulary.eosId ? eosIds : [id]) scores[allowed] = before[allowed]
  }
}

function follow(constraint: Constraint, { vocabulary, eosIds, skipped }: ConstraintContext): ScoreProcessor {
  // The first token of an answer after a prefix is a later one.
  const isFirst = (place: number): boolean => place === 1
  const masks = masksOf(constraint, vocabulary, isFirst(skipped))
  const states = new RowStates<State | null>(
    masks.start,
    skipped,
    (state, token, place) => state && masks.after(state, token, isFirst(place)),
  )
  return (scores, tokens) => {
    const state = states.of(tokens)
    const allowed = state && masks.allowed(state, isFirst(tokens.length))
    const ends = state?.isEnd === true ? eosIds.map(id => [id, scores[id]]) : []
    for (let id = 0; id < scores.length; id++) if (!allowed?.has(id)) scores[id] = -Infinity
    for (const [id, score] of ends) scores[id] = score
  }
}

/** How many constraints of a vocabulary keep their states and masks: see MAX_STATES and MAX_MASKS. */
const MAX_CONSTRAINTS = 16

const knownMasks = new WeakMap<Vocabulary, Lru<string, TokenMasks>>()

/** Constraints with longer texts are not kept: the texts are the keys, and take memory. */
const LONGEST_KEPT = 65_536

/** Masks of a constraint, which requests that ask for the same share. */
function masksOf(constraint: Constraint, vocabulary: Vocabulary, isFirst: boolean): TokenMasks {
  let known = knownMasks.get(vocabulary)
  if (known === undefined) knownMasks.set(vocabulary, (known = new Lru(MAX_CONSTRAINTS)))
  const key = `${isFirst} ${JSON.stringify(constraint)}`
  const masks = known.get(key) ?? makeMasks(constraint, vocabulary, isFirst)
  if (key.length <= LONGEST_KEPT) known.set(key, masks)
  return masks
}

/** Throws a ConfigError if no answer of the vocabulary's tokens keeps to the constraint, or if it is too costly. */
function makeMasks(constraint: Constraint, vocabulary: Vocabulary, isFirst: boolean): TokenMasks {
  const name = nameOf(constraint)
  const tokens = maskTokens(vocabulary)
  const { grammar, start } = grammarOf(constraint)
  const impossible = grammar.prune(start, tokens.alphabet)
  if (impossible !== undefined) throw noAnswer(name, impossible)
  const work = new WorkLimit(name)
  const masks = new TokenMasks(new Matcher(grammar, start, work), tokens, work)
  if (!masks.hasAnswer(isFirst)) throw noAnswer(name, { part: undefined, missing: [] })
  masks.tryCosts()
  return masks
}

const noAnswer = (name: string, { part, missing }: Impossible): ConfigError => {
  const where = part === undefined ? '' : `: there is none at ${part}`
  const [shown, more] = [missing.slice(0, 12).join(' '), missing.length > 12 ? ' …' : '']
  const why =
    missing.length > 0
      ? `. Its vocabulary has no token with ${shown}${more}`
      : part === undefined
        ? ', though it has their characters: they are only in tokens that do not fit'
        : ''
  return new ConfigError(`no answer of this model's tokens fits ${name}${where}${why}`)
}

const nameOf = ({ regex }: Constraint): string =>
  regex === undefined ? 'the JSON schema' : `the regular expression ${shortRegex(regex)}`

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
