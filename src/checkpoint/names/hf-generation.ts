import { generationSettings, settingEntries } from '../../model/generation-defaults.js'
import type { GenerationDefaults, GenerationSetting } from '../../model/generation-defaults.js'
import { biases, count, decay, flag, ids, sequences, stopping, texts } from '../../model/generation-kinds.js'
import type { Kind, LengthDecay, SequenceBias } from '../../model/generation-kinds.js'
import type { Json } from '../json.js'
import { settingsOf } from './hf-files.js'
import type { HfFiles, Settings } from './hf-files.js'
import { float, JsonText, plainSettings } from './hf-json.js'
import type { HfValue } from './hf-json.js'

/**
 * How a model generates by default: the settings of generation_config.json. As in transformers 5, config.json gives
 * them only if there is no generation_config.json. Settings that are null, or have no effect (a penalty of 1), are left
 * out. A value that cannot be used is kept in `unsupported`, because only generation needs it. `path` is the folder's,
 * for messages. Throws a FileError if the file holds no settings.
 */
export function generationFromHf(files: HfFiles, vocabSize: number, path: string): GenerationDefaults {
  const { generationConfig, config } = files
  const { values } =
    generationConfig === undefined
      ? settingsOf('config.json', config, path)
      : settingsOf('generation_config.json', generationConfig, path)
  const unsupported: Record<string, string> = {}
  const refuse = (key: string): void => {
    unsupported[key] = files.generationTexts?.[key] ?? JSON.stringify(values[key])
  }
  const defaults: Record<string, unknown> = {}
  for (const [name, setting] of settingEntries) {
    const { hf, hfLength, kind } = setting
    const key = !isGiven(values[hf]) && hfLength !== undefined ? hfLength : hf
    const given = values[key] ?? (name === 'topK' ? DEFAULT_TOP_K : undefined)
    if (!isGiven(given)) continue
    const value = fromHf(kind, given, vocabSize)
    const counted = key === hfLength && typeof value === 'number' ? value - 1 : value
    const whole = name === 'maxNewTokens' && typeof counted === 'number' ? Math.ceil(counted) : counted
    if (isNeutral(setting, whole)) continue
    if (kind.holds(whole)) defaults[name] = whole
    else refuse(key)
  }
  for (const [key, matters] of Object.entries(notImplemented))
    if (isGiven(values[key]) && matters(values[key], values)) refuse(key)
  return { ...defaults, ...(Object.keys(unsupported).length > 0 && { unsupported }) }
}

/** transformers samples from this many tokens where a configuration does not say. */
const DEFAULT_TOP_K = 50

/** A model's defaults as settings for generation_config.json. */
export function hfGeneration(defaults: GenerationDefaults): { readonly [key: string]: HfValue } {
  const known = settingEntries.flatMap(([name, { hf, kind }]) => {
    const value = name === 'topK' ? (defaults.topK ?? 0) : defaults[name]
    return value === undefined ? [] : [[hf, toHf(kind, value)] as const]
  })
  const kept = Object.entries(defaults.unsupported ?? {}).map(([key, text]) => [key, new JsonText(text)] as const)
  return Object.fromEntries([...known, ...kept])
}

/** As `hfGeneration`, as plain values. */
export const generationToHf = (defaults: GenerationDefaults): { readonly [key: string]: Json } =>
  plainSettings(hfGeneration(defaults))

/**
 * What a setting's value must be, in words that complete "must be"; undefined for a setting that Switchyard does not
 * have, whatever its value. `key` is transformers' name.
 */
export function rangeOfHf(key: string): string | undefined {
  const byName = settingEntries.find(([, { hf }]) => hf === key)?.[1].kind.must
  if (byName !== undefined) return byName
  return key === generationSettings.maxNewTokens.hfLength
    ? 'a whole number above 1, as it counts the start of the decoder'
    : settingEntries.find(([, { hfLength }]) => hfLength === key)?.[1].kind.must
}

/**
 * Settings that would change answers and are not computed here, and whether a value has an effect. The remaining
 * settings of transformers that are not read are of its outputs, its speed and its memory.
 */
const notImplemented: { readonly [key: string]: (value: Json, all: Settings['values']) => boolean } = {
  constraints: () => true,
  force_words_ids: () => true,
  num_beam_groups: value => Number(value) > 1,
  diversity_penalty: (value, all) => value !== 0 && Number(all['num_beam_groups']) > 1,
  guidance_scale: value => value !== 1,
  watermarking_config: () => true,
  dola_layers: () => true,
  penalty_alpha: (value, all) =>
    Number(value) > 0 && all['do_sample'] !== true && Number(all['top_k'] ?? DEFAULT_TOP_K) > 1,
  max_time: () => true,
  token_healing: value => value === true,
}

const isGiven = (value: Json | undefined): value is Exclude<Json, null> => value !== undefined && value !== null

const isNeutral = (setting: GenerationSetting<unknown>, value: unknown): boolean =>
  (typeof value === 'number' || typeof value === 'boolean' ? (setting.isNeutral?.(value) ?? false) : false) ||
  // A list of no tokens or texts.
  (Array.isArray(value) && value.length === 0)

/** A value of a file as one of a kind, if it can be one; otherwise as it is. */
function fromHf(kind: Kind<unknown>, value: Json, vocabSize: number): unknown {
  const isKnown = (id: unknown): boolean => count.holds(id) && id < vocabSize
  switch (kind) {
    case flag:
      return typeof value === 'number' ? value !== 0 : value
    case stopping:
      // transformers tests for `True` itself, which 1 is not.
      return value === 0 || value === 1 ? false : value
    case texts:
      return typeof value === 'string' ? [value] : value
    case ids:
      // transformers suppresses the tokens that there are.
      return areNumbers(value) ? value.filter(isKnown) : value
    case sequences: {
      if (!isList(value)) return value
      return value.every(sequence => isList(sequence) && sequence.every(isKnown))
        ? (value as readonly (readonly Json[])[]).filter(sequence => sequence.length > 0)
        : undefined
    }
    case decay:
      return isList(value) ? { start: value[0], factor: value[1] } : value
    case biases: {
      if (!isList(value)) return value
      const pairs = value.map(pair => (isList(pair) ? { ids: pair[0], bias: pair[1] } : undefined))
      if (!pairs.every(pair => isList(pair?.ids) && pair.ids.length > 0 && pair.ids.every(isKnown))) return undefined
      // Of several biases of one sequence, transformers takes the last one.
      return [...new Map(pairs.map(pair => [String(pair!.ids), pair])).values()]
    }
    default:
      return typeof value === 'boolean' ? Number(value) : value
  }
}

const isList = (value: unknown): value is readonly Json[] => Array.isArray(value)
const areNumbers = (value: Json): value is readonly number[] =>
  isList(value) && value.every(item => typeof item === 'number')

/** The inverse of `fromHf`. */
function toHf(kind: Kind<unknown>, value: unknown): HfValue {
  switch (kind) {
    case decay: {
      const { start, factor } = value as LengthDecay
      return [start, float(factor)]
    }
    case biases:
      return (value as readonly SequenceBias[]).map(({ ids, bias }) => [ids, float(bias)])
    default:
      return typeof value === 'number' && !kind.isWhole ? float(value) : (value as Json)
  }
}
