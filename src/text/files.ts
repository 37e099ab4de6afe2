/**
 * The files in which a model's folder may hold its vocabulary, in order of preference. ByT5 has no file of pieces, only
 * a configuration.
 */
export const vocabularyFiles = ['spiece.model', 'tokenizer.json', 'vocab.json', 'tokenizer_config.json'] as const

/** Files that say more of a vocabulary: merges of BPE, special and added tokens. */
export const besideVocabulary = ['merges.txt', 'special_tokens_map.json', 'added_tokens.json'] as const
