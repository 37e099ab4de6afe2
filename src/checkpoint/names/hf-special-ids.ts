import { FileError } from '../../base/errors.js'
import { T5_SPECIAL_IDS } from '../../base/special-ids.js'
import type { SpecialIds } from '../../base/special-ids.js'
import { quote, quoteJson } from '../format.js'
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
  const config = sourceOf(settingsOf('config.json', files.config, path))
  const generation =
    files.generationConfig === undefined
      ? undefined
      : sourceOf(settingsOf('generation_config.json', files.generationConfig, path))
  const tokenizer = tokenizerSource(files, path)
  const idsAt = (source: Source, key: string): readonly number[] | undefined => {
    const found = source(key)
    return found && idsOf(found, vocabSize, path)
  }
  const first = (...keys: readonly string[]): { ids: readonly number[]; place: string } | undefined => {
    for (const source of [generation, config, tokenizer])
      for (const key of keys) {
        const found = source?.(key)
        const ids = found && idsOf(found, vocabSize, path)
        if (ids) return { ids, place: found.place }
      }
    return undefined
  }
  const one = (...keys: readonly string[]): number | undefined => {
    const found = first(...keys)
    if (found && found.ids.length > 1)
      throw new FileError(
        `${path}: ${found.place} is a list of ${found.ids.length} ids, and must be one, for every text: take the list out, or keep one id`,
      )
    return found?.ids[0]
  }
  const padId = one('pad_token_id') ?? T5_SPECIAL_IDS.padId
  const forcedFirst = idsAt(generation ?? config, 'forced_bos_token_id')
  const forcedLast = idsAt(generation ?? config, 'forced_eos_token_id')
  return {
    padId,
    eosIds: first('eos_token_id')?.ids ?? T5_SPECIAL_IDS.eosIds,
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

/** The value that a file gives for a special id, and the place in the file, for messages. */
interface Found {
  readonly place: string
  readonly value: Json
}

/** What the files of one kind say of a special id, by its key in config.json. */
type Source = (key: string) => Found | undefined

const sourceOf =
  ({ file, values }: Settings): Source =>
  key => {
    const value = values[key]
    return value === undefined ? undefined : { place: `${key} in ${file}`, value }
  }

/** The ids of a value: one, or a list of some. Undefined if the value is null or an empty list. */
function idsOf({ place, value }: Found, vocabSize: number, path: string): readonly number[] | undefined {
  if (value === null) return undefined
  const ids = Array.isArray(value) ? (value as readonly Json[]) : [value]
  const isId = (id: Json): id is number => Number.isInteger(id) && (id as number) >= 0 && (id as number) < vocabSize
  if (!ids.every(isId)) {
    const wrong = ids.findIndex(id => !isId(id))
    throw new FileError(
      `${path}: ${place}${Array.isArray(value) ? `, number ${wrong + 1} of the list,` : ''} is ${quoteJson(ids[wrong])}, and the ids of this model's tokens are whole numbers below ${vocabSize}: correct it, or take it out of the file`,
    )
  }
  return ids.length > 0 ? ids : undefined
}

/** The ids of padding and EOS: of the tokens that tokenizer_config.json names, or else of those that T5 calls so. */
function tokenizerSource({ tokenizerConfig, tokenizer }: HfFiles, path: string): Source {
  const settings = settingsOf('tokenizer_config.json', tokenizerConfig ?? {}, path).values
  const decoder = isObject(settings['added_tokens_decoder']) ? settings['added_tokens_decoder'] : {}
  const added = isObject(tokenizer) && Array.isArray(tokenizer['added_tokens']) ? tokenizer['added_tokens'] : []
  const ids = new Map<Json, Found>()
  const add = (content: Json | undefined, value: Json, file: string): void => {
    if (typeof content === 'string') ids.set(content, { place: `the id of ${quote(content)} in ${file}`, value })
  }
  for (const token of added as readonly Json[])
    if (isObject(token)) add(token['content'], token['id'] ?? null, 'tokenizer.json')
  for (const [id, token] of Object.entries(decoder))
    if (isObject(token)) add(token['content'], Number(id), 'tokenizer_config.json')
  const named = (key: string, usual: string): Found | undefined => {
    const token = settings[key]
    return ids.get((isObject(token) ? token['content'] : token) ?? usual)
  }
  return key =>
    key === 'pad_token_id'
      ? named('pad_token', '<pad>')
      : key === 'eos_token_id'
        ? named('eos_token', '</s>')
        : undefined
}

/** Whether padding or EOS are in neither of the files that may give them before the tokenizer does. */
export const needsTokenizer = ({ config, generationConfig }: HfFiles): boolean =>
  ['pad_token_id', 'eos_token_id'].some(key =>
    [config, generationConfig].every(file => !isObject(file) || file[key] === undefined || file[key] === null),
  )
