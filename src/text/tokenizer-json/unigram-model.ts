import { ConfigError } from '../../base/errors.js'
import type { Piece } from '../spiece-model.js'
import { Unigram } from '../unigram.js'
import { byteFallback } from './byte-fallback.js'
import type { UnigramModel } from './schema.js'
import { checkLengths } from './table-models.js'
import type { Model } from './table-models.js'

const MAX_UNITS = 2 ** 22

/** A Unigram model, with the scores and ties of the tokenizers library. */
export function unigramModel(model: UnigramModel, ids: ReadonlyMap<string, number>, unkId: number): Model {
  const { vocab } = model
  if (vocab.reduce((sum, [text]) => sum + text.length, 0) > MAX_UNITS)
    throw new ConfigError(`the pieces of the tokenizer.json have more than ${MAX_UNITS} characters together`)
  checkLengths(ids.keys())
  if (unkId >= vocab.length)
    throw new ConfigError(`the unk_id of the tokenizer.json is ${unkId}, and it has ${vocab.length} pieces`)
  const matched = vocab.flatMap(([text, score], id): (readonly [Piece, number])[] =>
    text === '' ? [] : [[{ text, score: scoreOf(score), type: 'normal' }, id]],
  )
  const unigram = new Unigram(matched, vocab.length, 'float64')
  const bytesOf = model.byte_fallback === true ? byteFallback(ids) : undefined
  const [unkText] = vocab[unkId]
  const pushUnknown = (text: string, result: number[]): void => {
    result.push(...((text === unkText ? undefined : bytesOf?.(text)) ?? [unkId]))
  }
  return (word, result) => {
    let unknown = ''
    for (const part of unigram.segment(word)) {
      // The text of the unknown token is one with unknown characters beside it.
      if (part === unkId) unknown += unkText
      else if (typeof part !== 'number') unknown += part.unknown
      else {
        if (unknown !== '') pushUnknown(unknown, result)
        unknown = ''
        result.push(part)
      }
    }
    if (unknown !== '') pushUnknown(unknown, result)
  }
}

/**
 * A score as the library reads it from JSON: all its digits as a whole number, divided by a power of ten. The last bit
 * may differ from the nearest float64, which decides ties.
 */
function scoreOf(score: number): number {
  const [, sign, whole, fraction] = /^(-?)(\d+)\.(\d{1,18})$/u.exec(String(score)) ?? []
  if (fraction === undefined) return score
  return (sign === '-' ? -1 : 1) * (Number(whole + fraction) / 10 ** fraction.length)
}
