/**
 * Text to token ids and back. Every model here uses T5's three special ids, so they are constants and not settings.
 * The implementations are in files of their own (vocabulary-lists.ts), and vocabularies.ts reads any of them from JSON.
 */

/** Fills a row up to its length; never a token of a text. */
export const PAD_ID = 0
/** Ends a sequence. */
export const EOS_ID = 1
/** Stands for a piece of text that the vocabulary does not hold. */
export const UNK_ID = 2
/** The first id that an implementation may give to a symbol. */
export const FIRST_SYMBOL_ID = 3

/** How an unknown token is written: what SentencePiece writes too. */
export const UNKNOWN_TEXT = '\u2047'

/** What `toJSON` returns: plain data that `vocabularyFromJSON` reads. Each implementation has a `kind` of its own. */
export interface VocabularySpec {
  readonly kind: string
}

/** Decodes one id at a time: the pieces that it gives, joined, are what `decode` gives of all the ids. */
export interface TextStream {
  /** The text that this id completes: none while a character is incomplete, for padding, and after EOS. */
  push(id: number): string
  /** What is left when no id follows: U+FFFD for a character that broke off. */
  end(): string
}

/** Every implementation passes the shared suite in vocabulary.conformance.ts. */
export interface Vocabulary {
  /** All ids are below `size`. A model's table may be larger (padded to a round number), never smaller. */
  readonly size: number
  readonly padId: typeof PAD_ID
  readonly eosId: typeof EOS_ID
  readonly unkId: typeof UNK_ID
  /** `sentinelIds[k]` is the id of `<extra_id_k>`, which stands for the k-th blank of a text. Empty where there are none. */
  readonly sentinelIds: readonly number[]
  /** The ids of a text, without EOS. No text can produce padding or EOS. */
  encode(text: string): number[]
  /** The text of some ids: stops at the first EOS and skips padding. An id without a meaning reads as an unknown token. */
  decode(ids: Iterable<number>): string
  /** Decodes ids as they are generated. Each stream is one text. */
  stream(): TextStream
  toJSON(): VocabularySpec
}
