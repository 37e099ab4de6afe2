/** The token ids that a model gives a meaning of their own. They are facts of a model, as its sizes are. */
export type SpecialIds = {
  /** Padding. */
  readonly padId: number
  /** The ids that end a sequence (EOS), at least one. */
  readonly eosIds: readonly number[]
  /** The decoder's first input, before any token of the answer. */
  readonly decoderStartId: number
  /** The tokens with one of which every generated answer begins. Undefined: any. */
  readonly forcedFirstIds?: readonly number[]
  /** The tokens of which one ends an answer that reaches its greatest length. Undefined: any. */
  readonly forcedLastIds?: readonly number[]
}

/**
 * The EOS of a model's answers, given that of its vocabulary: the same if the model ends with it, else the first of the
 * model's.
 */
export const eosOf = (vocabularyEos: number, eosIds: readonly number[]): number =>
  eosIds.includes(vocabularyEos) ? vocabularyEos : eosIds[0]

/** The special ids of T5: decoding starts from padding. */
export const T5_SPECIAL_IDS: SpecialIds = { padId: 0, eosIds: [1], decoderStartId: 0 }

/** Whether ids are T5's. */
export const areT5s = ({ padId, eosIds, decoderStartId, forcedFirstIds, forcedLastIds }: SpecialIds): boolean =>
  padId === T5_SPECIAL_IDS.padId &&
  eosIds.length === 1 &&
  eosIds[0] === T5_SPECIAL_IDS.eosIds[0] &&
  decoderStartId === T5_SPECIAL_IDS.decoderStartId &&
  forcedFirstIds === undefined &&
  forcedLastIds === undefined
