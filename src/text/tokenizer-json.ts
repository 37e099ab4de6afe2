import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { TableTokenizer } from './tokenizer-json/table-tokenizer.js'
import { tokenizerSchema } from './tokenizer-json/schema.js'
import type { SpecialTokens } from './tokenizer-json/schema.js'
import { UnigramTokenizer } from './tokenizer-json/unigram-tokenizer.js'

export const tokenizerJsonSpec = z.strictObject({
  kind: z.literal('tokenizerJson'),
  tokenizer: z.record(z.string(), z.unknown()),
  /** The texts of padding, EOS and the unknown token, where they are not the usual ones. */
  special: z
    .strictObject({ pad: z.string().optional(), eos: z.string().optional(), unk: z.string().optional() })
    .optional(),
})

export type TokenizerJsonVocabulary = UnigramTokenizer | TableTokenizer

/**
 * The vocabulary of a `tokenizer.json` of Hugging Face's tokenizers library: every step in the file is obeyed, or a
 * ConfigError names the step. Unigram models, as in T5, are read here; BPE, WordPiece and WordLevel through
 * @huggingface/tokenizers.
 */
export function fromTokenizerJson(json: unknown, special: SpecialTokens = {}): TokenizerJsonVocabulary {
  const result = tokenizerSchema.safeParse(json)
  if (!result.success) throw new ConfigError(`not a tokenizer.json: ${z.prettifyError(result.error)}`)
  const { data } = result
  return data.model.type === 'Unigram'
    ? new UnigramTokenizer({ ...data, model: data.model }, special)
    : new TableTokenizer({ ...data, model: data.model }, special)
}
