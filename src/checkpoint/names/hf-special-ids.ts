import { FileError } from '../../base/errors.js'
import { T5_SPECIAL_IDS } from '../../base/special-ids.js'
import type { SpecialIds } from '../../base/special-ids.js'
import type { Json } from '../json.js'
import { isObject, settingsOf } from './hf-files.js'
import type { HfFiles, Settings } from './hf-files.js'

/**
 * The special ids of a model. An id is taken from generation_config.json, then config.json; padding and EOS then from
 * the tokenizer (a token's text, whose id tokenizer_config.json or tokenizer.json gives). Without any, it is T5's. As
 * in transformers 5, the decoder starts from `bos_token_id` where a file has no `decoder_start_token_id`, and forced
 * tokens are read from config.json only if there is no generation_config.json.
 *
 * Where generation_config.json lacks an id, `generate` of transformers 5 does not look further: without EOS it never
 * stops, and without the decoder's start it fails. Here config.json gives the id.
 *
 * `path` is the folder's, for messages. Throws a FileError if an id is no token of a vocabulary of `vocabSize`.
 */
export function specialIdsFromHf(files: HfFiles, vocabSize: number, path: string): SpecialIds {
  const config = settingsOf('config.json', files.config, path)
  const generation =
    files.generationConfig === undefined
      ? undefined
      : settingsOf('generation_config.json', files.generationConfig, path)
  const tokenizer = tokenizerIds(files, path)
  const idsAt = (source: Settings, key: string): readonly number[] | undefined => idsOf(source, key, vocabSize, path)
  const first = (...keys: readonly string[]): readonly number[] | undefined => {
    for (const source of [generation, config, tokenizer])
      for (const key of keys) {
        const ids = source && idsAt(source, key)
        if (ids) return ids
      }
    return undefined
  }
  const one = (...keys: readonly string[]): number | undefined => {
    const ids = first(...keys)
    if (ids && ids.length > 1)
      throw new FileError(`${path}: ${keys[0]} is a list of ${ids.length} ids, and one is needed, for every text`)
    return ids?.[0]
  }
  const padId = one('pad_token_id') ?? T5_SPECIAL_IDS.padId
  const forcedFirst = idsAt(generation ?? config, 'forced_bos_token_id')
  const forcedLast = idsAt(generation ?? config, 'forced_eos_token_id')
  return {
    padId,
    eosIds: first('eos_token_id') ?? T5_SPECIAL_IDS.eosIds,
    decoderStartId: one('decoder_start_token_id', 'bos_token_id') ?? padId,
    ...(forcedFirst && { forcedFirstIds: forcedFirst }),
    ...(forcedLast && { forcedLastIds: forcedLast }),
  }
}

const oneOrList = (ids: readonly number[]): Json => (ids.length === 1 ? ids[0] : ids)

/** The special ids that config.json and generation_config.json both have. */
export const specialIdsToHf = (ids: SpecialIds): { readonly [key: string]: Json } => ({
  pad_token_id: ids.padId,
  eos_token_id: oneOrList(ids.eosIds),
  decoder_start_token_id: ids.decoderStartId,
})

/** The forced tokens as settings of generation_config.json, the only file that transformers 5 takes them from. */
export const forcedIdsToHf = (ids: SpecialIds): { readonly [key: string]: Json } => ({
  ...(ids.forcedFirstIds && { forced_bos_token_id: oneOrList(ids.forcedFirstIds) }),
  ...(ids.forcedLastIds && { forced_eos_token_id: oneOrList(ids.forcedLastIds) }),
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

/** The ids of padding and EOS: of the tokens that tokenizer_config.json names, or else of those that T5 calls so. */
function tokenizerIds({ tokenizerConfig, tokenizer }: HfFiles, path: string): Settings {
  const settings = settingsOf('tokenizer_config.json', tokenizerConfig ?? {}, path).values
  const decoder = isObject(settings['added_tokens_decoder']) ? settings['added_tokens_decoder'] : {}
  const added = isObject(tokenizer) && Array.isArray(tokenizer['added_tokens']) ? tokenizer['added_tokens'] : []
  const ids = new Map<Json, Json>()
  for (const token of added as readonly Json[]) if (isObject(token)) ids.set(token['content'], token['id'])
  for (const [id, token] of Object.entries(decoder)) if (isObject(token)) ids.set(token['content'], Number(id))
  const named = (key: string, usual: string): Json | undefined => {
    const token = settings[key]
    return ids.get((isObject(token) ? token['content'] : token) ?? usual)
  }
  return {
    file: tokenizerConfig === undefined ? 'tokenizer.json' : 'tokenizer_config.json',
    values: { pad_token_id: named('pad_token', '<pad>'), eos_token_id: named('eos_token', '</s>') },
  }
}

/** Whether padding or EOS are in neither of the files that may give them before the tokenizer does. */
export const needsTokenizer = ({ config, generationConfig }: HfFiles): boolean =>
  ['pad_token_id', 'eos_token_id'].some(key =>
    [config, generationConfig].every(file => !isObject(file) || file[key] === undefined || file[key] === null),
  )
