import { ConfigError } from '../../base/errors.js'
import { listItems, quoteJson } from '../format.js'
import type { Json } from '../json.js'

/** The `model_type`s that can be read. ByT5, Flan-T5 and UL2 have model_type t5. */
export const supportedTypes: readonly string[] = ['t5', 'mt5', 'umt5', 'switch_transformers']

/** Other families of encoder-decoders by their `model_type`, and what sets them apart. */
const otherFamilies: Readonly<Record<string, string>> = {
  longt5: 'LongT5, whose encoder attends locally',
  nllb_moe: 'NLLB-MoE, a Transformer with sinusoidal positions and layer norms with biases',
  t5gemma: "T5Gemma, an encoder-decoder of Gemma's layers",
  t5gemma2: "T5Gemma 2, an encoder-decoder of Gemma's layers",
  t5_gemma_module: "T5Gemma, an encoder-decoder of Gemma's layers",
  pop2piano: 'Pop2Piano, whose inputs are audio',
  pix2struct: 'Pix2Struct, whose inputs are images',
  udop: 'UDOP, whose inputs are texts with their layout and images',
  moonshine: 'Moonshine, whose inputs are audio',
  whisper: 'Whisper, whose inputs are audio',
  speech_to_text: 'Speech2Text, whose inputs are audio',
  bart: 'BART, a Transformer with learned positions',
  mbart: 'mBART, a Transformer with learned positions',
  plbart: 'PLBART, a Transformer with learned positions',
  mvp: 'MVP, a Transformer with learned positions',
  led: "LED, BART's layers with an encoder that attends locally",
  bigbird_pegasus: 'BigBird-Pegasus, a Transformer with sparse attention',
  pegasus: 'Pegasus, a Transformer with sinusoidal positions',
  pegasus_x: 'Pegasus-X, a Transformer with sinusoidal positions',
  marian: 'Marian, a Transformer with sinusoidal positions',
  m2m_100: 'M2M100 (NLLB), a Transformer with sinusoidal positions',
  fsmt: 'FSMT, a Transformer with sinusoidal positions',
  blenderbot: 'BlenderBot, a Transformer with learned positions',
  blenderbot_small: 'BlenderBot, a Transformer with learned positions',
  prophetnet: 'ProphetNet, which predicts several tokens at once',
  xlm_prophetnet: 'XLM-ProphetNet, which predicts several tokens at once',
  encoder_decoder: 'an EncoderDecoderModel, made of two other models',
  seamless_m4t: 'SeamlessM4T, whose inputs are audio and texts',
}

/** `model_type`s of widespread models that have a decoder and no encoder. */
const decoderOnly =
  /^(gpt|openai_gpt|llama|code_llama|mistral|ministral|mixtral|qwen|gemma|recurrent_gemma|phi|falcon|opt$|bloom|olmo|deepseek|codegen|starcoder|smollm|mpt$|stablelm|cohere|granite|nemotron|glm|chatglm|ernie4|mamba|rwkv|xglm|biogpt|ctrl|dbrx|jamba|jetmoe|persimmon|bitnet|minimax|exaone|lfm|arcee|apertus|hunyuan|helium|xlnet|transfo_xl|internlm|baichuan)/

/** `model_type`s of widespread models that have an encoder and no decoder, and are not T5's. */
const encoderOnly =
  /^(bert|roberta|distilbert|electra|albert|deberta|xlm|camembert|mpnet|modernbert|ernie|nomic_bert|longformer|big_bird|funnel|fnet|rembert|roformer|squeezebert|mobilebert|esm|convbert|nystromformer|perceiver|ibert|splinter|luke|canine|jina|gte|eurobert)/

/** The error for a `model_type` that cannot be read: one sentence, which names the family where it is known. */
export const unsupportedFamily = (type: Json, path: string): ConfigError =>
  new ConfigError(
    `${path}: this is ${familyOf(type)}, and only T5's families can be read: model_type in config.json is ${quoteJson(type)}, not ${listItems(supportedTypes).replace(/, ([^,]*)$/, ' or $1')}`,
  )

/** What a model is by its `model_type`. */
function familyOf(type: Json): string {
  if (typeof type !== 'string' || !/^[\w.-]{1,40}$/.test(type)) return 'a model of an unknown family'
  // Families of transformers are named with either: nllb-moe, xlm-roberta, switch_transformers.
  const key = type.toLowerCase().replaceAll('-', '_')
  if (Object.hasOwn(otherFamilies, key)) return otherFamilies[key]
  const isOfText = !/_(vl|vision|audio|omni|asr|ocr|speech|unified|multimodal)/.test(key)
  const family = `a model of the family ${type}`
  if (isOfText && (decoderOnly.test(key) || key === 'modernbert_decoder'))
    return `${family}, which has a decoder and no encoder`
  return encoderOnly.test(key) ? `${family}, which has an encoder and no decoder` : family
}
