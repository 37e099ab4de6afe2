import { ConfigError } from '../../base/errors.js'
import { quote } from '../format.js'

/** The `model_type`s that can be read. ByT5, Flan-T5 and UL2 have model_type t5. */
export const supportedTypes: readonly string[] = ['t5', 'mt5', 'umt5', 'switch_transformers']

/** What sets other families of T5's kind apart, by their `model_type`. */
const otherFamilies: Readonly<Record<string, string>> = {
  longt5: 'LongT5, whose encoder attends locally',
  'nllb-moe': 'NLLB-MoE, a Transformer with sinusoidal positions and layer norms with biases',
  nllb_moe: 'NLLB-MoE, a Transformer with sinusoidal positions and layer norms with biases',
  t5gemma: "T5Gemma, an encoder-decoder of Gemma's layers",
  t5gemma2: "T5Gemma 2, an encoder-decoder of Gemma's layers",
  pop2piano: 'Pop2Piano, whose inputs are audio',
  pix2struct: 'Pix2Struct, whose inputs are images',
  udop: 'UDOP, whose inputs are texts with their layout and images',
}

/** `model_type`s of widespread models that have a decoder and no encoder. */
const decoderOnly =
  /^(gpt|llama|mistral|mixtral|qwen|gemma|phi|falcon|opt$|bloom|olmo|deepseek|codegen|starcoder|smollm|mpt$|stablelm|cohere|granite|nemotron|glm|mamba)/

/** `model_type`s of widespread models that have an encoder and no decoder. */
const encoderOnly = /^(bert|roberta|distilbert|electra|albert|deberta|xlm-roberta|camembert|mpnet|modernbert)/

/** The error for a `model_type` that cannot be read. It names the family where it is known. */
export function unsupportedFamily(type: string, path: string): ConfigError {
  const family =
    otherFamilies[type] ??
    (decoderOnly.test(type)
      ? `a ${type} model, which has a decoder and no encoder`
      : encoderOnly.test(type)
        ? `a ${type} model, which is not of T5's kind`
        : undefined)
  const known = `model_type ${quote(type)} is not one of ${supportedTypes.join(', ')}`
  return new ConfigError(
    family === undefined ? `${path}: ${known}` : `${path}: this is ${family}. It cannot be read: ${known}`,
  )
}
