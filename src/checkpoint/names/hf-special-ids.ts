import { FileError } from '../../base/errors.js'
import { T5_SPECIAL_IDS } from '../../base/special-ids.js'
import type { SpecialIds } from '../../base/special-ids.js'
import type { Json } from '../json.js'
import { isObject, settingsOf } from './hf-files.js'
import type { HfFiles, Settings } from './hf-files.js'

/**
 * The special ids of a model. An id is taken from generation_config.json, then config.json, then tokenizer_config.json
 * (a token's text, whose id `added_tokens_decoder` gives); without any, it is T5's. As in transformers 5, the decoder
 * starts from `bos_token_id` where a file has no `decoder_start_token_id`, and forced tokens are read from config.json
 * only if there is no generation_config.json. `path` is the folder's, for messages. Throws a FileError if an id is no
 * token of a vocabulary of `vocabSize`.
 */
export function specialIdsFromHf(files: HfFiles, vocabSize: number, path: string): SpecialIds {
  const config = settingsOf('config.json', files.config, path)
  const generation =
    files.generationConfig === undefined
      ? undefined
      : settingsOf('generation_config.json', files.generationConfig, path)
  const tokenizer =
    files.tokenizerConfig === undefined
      ? undefined
      : tokenizerIds(settingsOf('tokenizer_config.json', files.tokenizerConfig, path))
  const idsAt = (source: Settings, key: string): readonly number[] | undefined => idsOf(source, key, vocabSize, path)
  const first = (...keys: readonly string[]): readonly number[] | undefined => {
    for (const source of [generation, config, tokenizer])
      for (const key of keys) {
        const ids = source && idsAt(source, key)
        if (ids) return ids
      }
    return undefined
  }
  const padId = first('pad_token_id')?.[0] ?? T5_SPECIAL_IDS.padId
  const forcedFirst = idsAt(generation ?? config, 'forced_bos_token_id')
  const forcedLast = idsAt(generation ?? config, 'forced_eos_token_id')
  return {
    padId,
    eosIds: first('eos_token_id') ?? T5_SPECIAL_IDS.eosIds,
    decoderStartId: first('decoder_start_token_id', 'bos_token_id')?.[0] ?? padId,
    ...(forcedFirst && { forcedFirstId: forcedFirst[0] }),
    ...(forcedLast && { forcedLastIds: forcedLast }),
  }
}

/** The special ids that config.json and generation_config.json both have. */
export const specialIdsToHf = (ids: SpecialIds): { readonly [key: string]: Json } => ({
  pad_token_id: ids.padId,
  eos_token_id: ids.eosIds.length === 1 ? ids.eosIds[0] : ids.eosIds,
  decoder_start_token_id: ids.decoderStartId,
})

/** The forced tokens as settings of generation_config.json, the only file that transformers 5 takes them from. */
export const forcedIdsToHf = (ids: SpecialIds): { readonly [key: string]: Json } => ({
  ...(ids.forcedFirstId !== undefined && { forced_bos_token_id: ids.forcedFirstId }),
  ...(ids.forcedLastIds !== undefined && { forced_eos_token_id: ids.forcedLastIds }),
})

/** The ids at a key: one, or a list of some. Undefined if the key is absent, null or an empty list. */
function idsOf(
  { file, values }: Settings,
  key: string,
  vocabSize: number,
  path: string,
): readonly number[] | undefined {
  const value = values[key]
  if (value === undefined || value === null) return undefined
  const ids = Array.isArray(value) ? (value as readonly Json[]) : [value]
  const isId = (id: Json | undefined): id is number =>
    typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < vocabSize
  if (!ids.every(isId))
    throw new FileError(
      `${path}: ${key} in ${file} is ${JSON.stringify(value)}, and the ids of this model are whole numbers below ${vocabSize}`,
    )
  return ids.length > 0 ? ids : undefined
}

/** The ids of the padding, EOS and BOS tokens whose texts tokenizer_config.json names. */
function tokenizerIds({ file, values }: Settings): Settings {
  const added = isObject(values['added_tokens_decoder']) ? values['added_tokens_decoder'] : {}
  const texts = new Map(
    Object.entries(added).flatMap(([id, token]) =>
      isObject(token) && typeof token['content'] === 'string' ? [[token['content'], Number(id)] as const] : [],
    ),
  )
  const ids = ['pad_token', 'eos_token', 'bos_token'].flatMap(key => {
    const token = values[key]
    const text = isObject(token) ? token['content'] : token
    const id = typeof text === 'string' ? texts.get(text) : undefined
    return id === undefined ? [] : [[`${key}_id`, id] as const]
  })
  return { file, values: Object.fromEntries(ids) }
}
