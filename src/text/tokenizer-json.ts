import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { TableTokenizer } from './tokenizer-json/table-tokenizer.js'
import { specialNames, tokenizerSchema } from './tokenizer-json/schema.js'
import type { SpecialTokens, TokenizerJson } from './tokenizer-json/schema.js'
import { UnigramTokenizer } from './tokenizer-json/unigram-tokenizer.js'

export const tokenizerJsonSpec = z.strictObject({
  kind: z.literal('tokenizerJson'),
  tokenizer: z.record(z.string(), z.unknown()),
  /** The texts of special tokens, where they are not the usual ones. */
  special: z.partialRecord(z.enum(specialNames), z.string()).optional(),
})

export type TokenizerJsonVocabulary = UnigramTokenizer | TableTokenizer

/**
 * The vocabulary of a `tokenizer.json` of Hugging Face's tokenizers library: every step in the file is obeyed, or a
 * ConfigError names the step. Unigram models, as in T5, are read here; BPE, WordPiece and WordLevel through
 * @huggingface/tokenizers.
 */
export const fromTokenizerJson = (json: unknown, special: SpecialTokens = {}): TokenizerJsonVocabulary =>
  fromParsed(parseTokenizerJson(json), special)

/** The parts of a tokenizer.json that are read. Throws a ConfigError if they have another form. */
export function parseTokenizerJson(json: unknown): TokenizerJson {
  const result = tokenizerSchema.safeParse(json)
  if (!result.success) throw new ConfigError(`not a tokenizer.json: ${z.prettifyError(result.error)}`)
  return result.data
}

/** The vocabulary of a parsed tokenizer.json. */
export function fromParsed(data: TokenizerJson, special: SpecialTokens): TokenizerJsonVocabulary {
  return data.model.type === 'Unigram'
    ? new UnigramTokenizer({ ...data, model: data.model }, special)
    : new TableTokenizer({ ...data, model: data.model }, special)
}
