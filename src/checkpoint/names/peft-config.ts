import { RE2JS } from 're2js'
import * as z from 'zod'
import { ConfigError, FileError } from '../../base/errors.js'
import { listItems, quote } from '../format.js'
import type { Json } from '../json.js'
import { isObject } from './hf-files.js'

/** What adapter_config.json says of an adapter that can be merged: low-rank matrices (LoRA, Hu et al. 2021). */
export interface PeftConfig {
  /** The model that the adapter belongs to: a folder, or a name on the Hugging Face hub. */
  readonly base?: string
  /** The revision of a base on the hub. */
  readonly revision?: string
  /** Ends of the names of modules that are trained as a whole, each with weights of its own beside the base's. */
  readonly modulesToSave: readonly string[]
  /** The tokens whose vectors are trained by themselves, of a table such as `shared`. Empty: none are. */
  tokensOf(module: string): readonly number[]
  /**
   * The rank of a module's adapter. `module` is its name in the base, such as
   * `encoder.block.0.layer.0.SelfAttention.q`.
   */
  rankOf(module: string): number
  /** The factor of a module's product B A: alpha / r, or alpha / sqrt(r) with `use_rslora` (Kalajdzievski 2023). */
  scaleOf(module: string): number
}

const pattern = z.record(z.string(), z.number()).nullish()

const ids = z.array(z.int().nonnegative())

const schema = z.object({
  base_model_name_or_path: z.string().nullish(),
  revision: z.string().nullish(),
  r: z.int().positive().default(8),
  lora_alpha: z.number().default(8),
  rank_pattern: pattern,
  alpha_pattern: pattern,
  modules_to_save: z.array(z.string()).nullish(),
  trainable_token_indices: z.union([ids, z.record(z.string(), ids)]).nullish(),
  use_rslora: z.boolean().nullish(),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
})

/** PEFT's types of adapters that put learned vectors before the input or into attention, in words. */
const promptTypes: Readonly<Record<string, string>> = {
  PROMPT_TUNING: 'prompt tuning',
  MULTITASK_PROMPT_TUNING: 'multitask prompt tuning',
  P_TUNING: 'P-tuning',
  PREFIX_TUNING: 'prefix tuning',
  ADAPTION_PROMPT: 'adaption prompt',
}

/** Settings that make an adapter more than a low-rank matrix, in words. */
const variants: Readonly<Record<string, string>> = {
  use_dora: 'DoRA',
  use_qalora: 'QA-LoRA',
  use_bdlora: 'BD-LoRA',
  lora_bias: 'LoRA with biases',
  alora_invocation_tokens: 'activated LoRA',
  arrow_config: 'Arrow',
  kasa_config: 'KaSA',
  velora_config: 'VeLoRA',
  monteclora_config: 'MonteCLoRA',
  layer_replication: 'LoRA with replicated layers',
  target_parameters: 'LoRA of parameters (target_parameters)',
}

/** Initializations that change the base's own weights, by which the adapter belongs to weights that are not saved. */
const changesBase = /^(pissa|olora|corda|loftq|lora_ga)/

/** Reads adapter_config.json. Throws an error that names what cannot be merged. `path` is the file's. */
export function parsePeftConfig(json: Json, path: string): PeftConfig {
  if (!isObject(json) || typeof json.peft_type !== 'string')
    throw new FileError(`${path}: this is no adapter of PEFT: it has no peft_type`)
  const type = json.peft_type.toUpperCase()
  const merge = 'save the model that PeftModel.merge_and_unload() gives in Python instead'
  if (Object.hasOwn(promptTypes, type))
    throw new ConfigError(
      `${path}: this adapter is of the kind ${promptTypes[type]}, whose vectors cannot be merged into weights; only LoRA can be used`,
    )
  if (type !== 'LORA')
    throw new ConfigError(
      `${path}: this adapter is of PEFT's type ${quote(type)}, and only LoRA can be merged: ${merge}`,
    )
  for (const [key, what] of Object.entries(variants))
    if (isSet(json[key]))
      throw new ConfigError(`${path}: this adapter is ${what}, and only plain LoRA can be merged: ${merge}`)
  const parsed = schema.safeParse(json)
  if (!parsed.success)
    throw new FileError(
      `${path}: these settings are not those of a LoRA adapter: ${listItems(parsed.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`))}`,
    )
  const { r, lora_alpha: alpha, rank_pattern: ranks, alpha_pattern: alphas, ...rest } = parsed.data
  if (typeof rest.init_lora_weights === 'string' && changesBase.test(rest.init_lora_weights))
    throw new ConfigError(
      `${path}: this adapter was initialized with ${rest.init_lora_weights}, which changes the weights of its base: ${merge}`,
    )
  const rankAt = valueFinder('rank_pattern', ranks, path)
  const alphaAt = valueFinder('alpha_pattern', alphas, path)
  const rankOf = (module: string): number => rankAt(module) ?? r
  return {
    base: rest.base_model_name_or_path ?? undefined,
    revision: rest.revision ?? undefined,
    modulesToSave: rest.modules_to_save ?? [],
    tokensOf: module => {
      const tokens = rest.trainable_token_indices ?? []
      if (Array.isArray(tokens)) return tokens
      return Object.entries(tokens).find(([end]) => module === end || module.endsWith(`.${end}`))?.[1] ?? []
    },
    rankOf,
    scaleOf: module => {
      const rank = rankOf(module)
      return (alphaAt(module) ?? alpha) / (rest.use_rslora ? Math.sqrt(rank) : rank)
    },
  }
}

/** Whether a setting differs from its default: null, false, or an empty list or object. */
const isSet = (value: Json | undefined): boolean =>
  value !== undefined &&
  value !== null &&
  value !== false &&
  (typeof value !== 'object' || Object.keys(value).length > 0)

/**
 * Finds the value of the first pattern that matches a module: a regular expression for the end of its name. RE2 takes
 * time linear in the name whatever the pattern is, which a file from the hub chooses.
 */
function valueFinder(
  setting: string,
  patterns: Readonly<Record<string, number>> | null | undefined,
  path: string,
): (module: string) => number | undefined {
  const compiled = Object.entries(patterns ?? {}).map(([key, value]) => {
    if (key.length > MAX_PATTERN)
      throw new FileError(`${path}: a pattern of ${setting} has ${key.length} characters, more than ${MAX_PATTERN}`)
    try {
      return { expression: RE2JS.compile(`(.*\\.)?(${key})`), value }
    } catch (error) {
      throw new FileError(
        `${path}: ${quote(key)} in ${setting} is no regular expression that can be used here, in RE2's syntax (${(error as Error).message})`,
      )
    }
  })
  return module => compiled.find(({ expression }) => expression.matches(module))?.value
}

/** The longest pattern: a name of a module has about 60 characters. Bounds the memory of a compiled pattern. */
const MAX_PATTERN = 1000
