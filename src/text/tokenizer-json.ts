import * as z from 'zod'
import { ConfigError } from '../base/errors.js'
import { JsonTokenizer } from './tokenizer-json/json-tokenizer.js'
import { firstFaults, specialNames, tokenizerSchema } from './tokenizer-json/schema.js'
import type { SpecialTokens, TokenizerJson } from './tokenizer-json/schema.js'

export const tokenizerJsonSpec = z.strictObject({
  kind: z.literal('tokenizerJson'),
  tokenizer: z.record(z.string(), z.unknown()),
  /** The texts of special tokens, where they are not the usual ones. */
  special: z.partialRecord(z.enum(specialNames), z.string()).optional(),
})

/**
 * The vocabulary of a `tokenizer.json` of Hugging Face's tokenizers library: every step in the file is obeyed, or a
 * ConfigError names the step. `truncation` and `padding` are not used: lengths are a matter of the model.
 */
export const fromTokenizerJson = (json: unknown, special: SpecialTokens = {}): JsonTokenizer =>
  new JsonTokenizer(parseTokenizerJson(json), special)

/** The parts of a tokenizer.json that are read. Throws a ConfigError if they have another form. */
export function parseTokenizerJson(json: unknown): TokenizerJson {
  const result = tokenizerSchema.safeParse(json)
  if (!result.success) throw new ConfigError(`not a tokenizer.json: ${firstFaults(result.error)}`)
  return result.data
}
