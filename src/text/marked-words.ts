import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { isPlain, plainSpec } from './plain-vocabularies.js'
import type { PlainVocabulary } from './plain-vocabularies.js'
import { MAX_SENTINELS } from './sentinels.js'
import { decodeAll, textStream } from './stream.js'
import { MAX_SIZE, splitWords } from './symbols.js'
import { EOS_ID, PAD_ID, UNK_ID } from './vocabulary.js'
import type { TextStream, Vocabulary } from './vocabulary.js'

const MIN_ID = UNK_ID + 1
const MAX_ID = MAX_SIZE - 1
// Sentinels may serve as markers, so there may be as many.
const markerIdsSpec = z.array(z.int().min(MIN_ID).max(MAX_ID)).min(1).max(MAX_SENTINELS)

export const markedWordsSpec = z.strictObject({
  kind: z.literal('markedWords'),
  /** The vocabulary of the words. */
  words: plainSpec,
  markerIds: markerIdsSpec,
})

/**
 * Numbers the words of a text: the k-th word is written as the k-th marker, then the word's tokens. If inputs and
 * targets have the same markers, the word that an answer is at is found by its marker. T5's cross attention sees no
 * positions: without markers, a model has to count words to give each a tag of its own.
 *
 * A text with more words than there are markers begins with the first marker again. Decoding drops markers, and joins
 * words by one space.
 */
export class MarkedWordsVocabulary implements Vocabulary {
  readonly padId = PAD_ID
  readonly eosId = EOS_ID
  readonly unkId = UNK_ID
  readonly size: number
  /** The sentinels of the words' vocabulary may serve as markers, so a text cannot have any. */
  readonly sentinelIds: readonly number[] = []
  /** The vocabulary of the words. */
  readonly words: PlainVocabulary
  private readonly markers: ReadonlySet<number>
  /** Ids that a word has none of. */
  private readonly dropped: ReadonlySet<number>

  /** Throws a ConfigError for words of a vocabulary of your own: a checkpoint could not be opened with it. */
  constructor(
    words: Vocabulary,
    readonly markerIds: readonly number[],
  ) {
    if (!isPlain(words))
      throw new ConfigError(
        'the words of marked words must have a vocabulary of this library: characters, words, bytes or SentencePiece, not a class of your own and not marked words',
      )
    this.words = words
    this.markers = new Set(markerIds)
    this.dropped = new Set([...markerIds, PAD_ID, EOS_ID])
    if (!markerIdsSpec.safeParse(markerIds).success || this.markers.size < markerIds.length)
      throw new ConfigError(
        `marked words need 1 to ${MAX_SENTINELS} markers with different ids, each an integer from ${MIN_ID} to ${MAX_ID}`,
      )
    this.size = Math.max(words.size, ...markerIds.map(id => id + 1))
  }

  encode(text: string): number[] {
    return splitWords(text).flatMap((word, k) => [
      this.markerIds[k % this.markerIds.length],
      ...this.words.encode(word).filter(id => !this.dropped.has(id)),
    ])
  }

  decode(ids: Iterable<number>): string {
    return decodeAll(this.stream(), ids)
  }

  stream(): TextStream {
    let word = this.words.stream()
    let started = false
    let separator = ''
    const joined = (text: string): string => {
      if (text === '') return ''
      const before = separator
      separator = ''
      started = true
      return before + text
    }
    return textStream(
      id => {
        if (!this.markers.has(id)) return joined(word.push(id))
        const rest = joined(word.end())
        word = this.words.stream()
        separator = started ? ' ' : ''
        return rest
      },
      () => joined(word.end()),
    )
  }

  bytesOf(id: number): Uint8Array | undefined {
    const words: Vocabulary = this.words
    return this.markers.has(id) ? undefined : words.bytesOf?.(id)
  }

  toJSON(): z.infer<typeof markedWordsSpec> {
    return {
      kind: 'markedWords',
      words: this.words.toJSON(),
      markerIds: [...this.markerIds],
    }
  }
}
