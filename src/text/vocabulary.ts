/**
 * Text to token ids and back. The special ids are T5's, except in vocabularies read from a tokenizer.json with others.
 * Each implementation has a file of its own; from-json.ts reads any of them from JSON.
 */

/** Padding, which fills a row up to its length. No text encodes to it. */
export const PAD_ID = 0
/** The end of a sequence. */
export const EOS_ID = 1
/** A piece of text that the vocabulary does not contain. */
export const UNK_ID = 2
/** The first id that an implementation may give to a symbol. */
export const FIRST_SYMBOL_ID = 3

/** The text of an unknown token, as in SentencePiece. */
export const UNKNOWN_TEXT = '\u2047'

/**
 * The library whose rules a vocabulary follows where they differ: Hugging Face's tokenizers (the default), or SeqIO's
 * vocabularies, for pretraining data that must have SeqIO's ids.
 */
export type VocabularyReference = 'hf' | 'seqio'

/** The result of `toJSON`: plain data that `vocabularyFromJSON` reads. Each implementation has its own `kind`. */
export interface VocabularySpec {
  readonly kind: string
}

/** Decodes one id at a time. The returned pieces, joined, equal the `decode` of all the ids. */
export interface TextStream {
  /** The text that this id completes. It is empty while a character is incomplete, for padding, and after EOS. */
  push(id: number): string
  /** Ends the stream, and returns the rest of the text: U+FFFD if the last character is incomplete. */
  end(): string
}

/** A vocabulary. Every implementation passes the shared suite in test/conformance/vocabulary.ts. */
export interface Vocabulary {
  /** All ids are below `size`. A model's embedding table has at least `size` rows, often more. */
  readonly size: number
  readonly padId: number
  readonly eosId: number
  readonly unkId: number
  /**
   * `sentinelIds[k]` is the id of `<extra_id_k>`, which marks the k-th blank of a text. Empty if there are no
   * sentinels.
   */
  readonly sentinelIds: readonly number[]
  /** The ids of a text, without special tokens around them. No text can produce padding or EOS. */
  encode(text: string): number[]
  /**
   * The ids of a text, with the special tokens that a model expects around them. A vocabulary without this method has
   * EOS at the end (`special-tokens.ts`).
   */
  withSpecialTokens?(ids: readonly number[]): number[]
  /**
   * The text of ids. It stops at the first EOS and skips padding. An id without a token gives the text of an unknown
   * token.
   */
  decode(ids: Iterable<number>): string
  /** A stream that decodes the ids of one text as they are generated. */
  stream(): TextStream
  /**
   * The UTF-8 of a token that may be a part of a character, which `decode` cannot tell; undefined for other tokens. A
   * vocabulary without this method has no such tokens.
   */
  bytesOf?(id: number): Uint8Array | undefined
  toJSON(): VocabularySpec
}
