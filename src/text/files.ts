/**
 * The files in which a model's folder may hold its vocabulary, in order of preference. ByT5 has no file of pieces, only
 * a configuration.
 */
export const vocabularyFiles = ['spiece.model', 'tokenizer.json', 'tokenizer_config.json'] as const
