import { ConfigError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { NONE, PieceTrie, ROOT } from '../trie.js'

/** Appends the ids of a word, a part that the pre-tokenizer cut. */
export type Model = (word: string, ids: number[]) => void

/** A table of tokens and ids, and the token for what the table lacks. */
export interface TokenTable {
  readonly ids: ReadonlyMap<string, number>
  readonly unknown: string | undefined
}

/** The id of the unknown token. Throws a ConfigError if there is none, as the tokenizers library does. */
export function unknownId({ ids, unknown }: TokenTable, what: string): number {
  const id = unknown === undefined ? undefined : ids.get(unknown)
  if (id === undefined)
    throw new ConfigError(
      `${JSON.stringify(what)} has no token, and the unk_token ${JSON.stringify(unknown ?? null)} is not in the vocabulary of the tokenizer.json: add it there`,
    )
  return id
}

const MAX_TOKEN = 1000

/**
 * Throws a ConfigError for a token that is too long for a model that looks for the longest token at each place of a
 * text: the time would grow with the square of the text's length.
 */
export function checkLengths(tokens: Iterable<string>): void {
  for (const { length } of tokens)
    if (length > MAX_TOKEN)
      throw new ConfigError(
        `the vocabulary of the tokenizer.json has a token of ${formatCount(length)} characters, and at most ${formatCount(MAX_TOKEN)} are supported`,
      )
}

/** WordLevel: each word is a token. */
export const wordLevel =
  (table: TokenTable): Model =>
  (word, ids) => {
    ids.push(table.ids.get(word) ?? unknownId(table, word))
  }

/**
 * WordPiece (Wu et al. 2016, https://arxiv.org/abs/1609.08144): from left to right the longest token, with a prefix
 * after the first. A word is unknown if a part of it is no token, or if it has more characters than the limit.
 */
export function wordPiece(table: TokenTable, prefix: string, maxCharacters: number): Model {
  checkLengths(table.ids.keys())
  const trie = new PieceTrie([...table.ids].filter(([token]) => token !== ''))
  let inside = ROOT
  for (let i = 0; i < prefix.length && inside !== NONE; i++) inside = trie.child(inside, prefix.charCodeAt(i))
  return (word, ids) => {
    const first = ids.length
    const isLong = word.length > maxCharacters && Array.from(word).length > maxCharacters
    for (let from = 0; !isLong && from < word.length;) {
      let end = from
      let found = NONE
      let node = from === 0 ? ROOT : inside
      for (let to = from; to < word.length && node !== NONE;) {
        node = trie.child(node, word.charCodeAt(to++))
        const id = node === NONE ? NONE : trie.idAt(node)
        if (id === NONE) continue
        found = id
        end = to
      }
      if (found === NONE) {
        ids.length = first
        break
      }
      ids.push(found)
      from = end
    }
    if (ids.length === first) ids.push(unknownId(table, word))
  }
}
