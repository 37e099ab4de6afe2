import { join } from 'node:path'
import { FileError } from '../../base/errors.js'
import { T5_SPECIAL_IDS } from '../../base/special-ids.js'
import type { SpecialIds } from '../../base/special-ids.js'
import { isFile, readSmallText } from '../files.js'
import { parseJson } from '../json.js'
import type { Json } from '../json.js'

type JsonObject = { readonly [key: string]: Json | undefined }

/** A file of a Hugging Face folder, and its object. Both are empty if the folder has no such file. */
interface Source {
  readonly path: string
  readonly json: JsonObject
}

/** tokenizer_config.json may hold thousands of added tokens. */
const MOST_BYTES = 2 ** 26

/**
 * The special ids of a model in a Hugging Face folder. An id is taken from generation_config.json, then config.json,
 * then tokenizer_config.json (a token's text, whose id `added_tokens_decoder` gives); without any, it is T5's. As in
 * transformers 5, the decoder starts from `bos_token_id` where a file has no `decoder_start_token_id`, and forced
 * tokens are read from config.json only if there is no generation_config.json. Throws a FileError if an id is no token of a
 * vocabulary of `vocabSize`.
 */
export async function readSpecialIds(folder: string, vocabSize: number): Promise<SpecialIds> {
  const [generation, config, tokenizer] = await Promise.all(
    ['generation_config.json', 'config.json', 'tokenizer_config.json'].map(name => readObject(join(folder, name))),
  )
  const sources = [generation, config, tokenizerIds(tokenizer)]
  const first = (...keys: readonly string[]): readonly number[] | undefined => {
    for (const source of sources)
      for (const key of keys) {
        const ids = idsAt(source, key, vocabSize)
        if (ids) return ids
      }
    return undefined
  }
  const forcing = generation.path === '' ? config : generation
  const padId = first('pad_token_id')?.[0] ?? T5_SPECIAL_IDS.padId
  const forcedFirst = idsAt(forcing, 'forced_bos_token_id', vocabSize)
  const forcedLast = idsAt(forcing, 'forced_eos_token_id', vocabSize)
  return {
    padId,
    eosIds: first('eos_token_id') ?? T5_SPECIAL_IDS.eosIds,
    decoderStartId: first('decoder_start_token_id', 'bos_token_id')?.[0] ?? padId,
    ...(forcedFirst && { forcedFirstId: forcedFirst[0] }),
    ...(forcedLast && { forcedLastIds: forcedLast }),
  }
}

/** Special ids as the settings of a config.json, from which transformers takes them without generation_config.json. */
export const specialIdsToHf = (ids: SpecialIds): { readonly [key: string]: Json } => ({
  pad_token_id: ids.padId,
  eos_token_id: ids.eosIds.length === 1 ? ids.eosIds[0] : ids.eosIds,
  decoder_start_token_id: ids.decoderStartId,
  ...(ids.forcedFirstId !== undefined && { forced_bos_token_id: ids.forcedFirstId }),
  ...(ids.forcedLastIds !== undefined && { forced_eos_token_id: ids.forcedLastIds }),
})

async function readObject(path: string): Promise<Source> {
  if (!(await isFile(path))) return { path: '', json: {} }
  const json = parseJson(
    await readSmallText(path, MOST_BYTES),
    message => new FileError(`${path}: this is not JSON, ${message}`),
  )
  if (!isObject(json)) throw new FileError(`${path}: this is not an object of settings`)
  return { path, json }
}

const isObject = (json: Json | undefined): json is { readonly [key: string]: Json } =>
  typeof json === 'object' && json !== null && !Array.isArray(json)

/** The ids at a key: one, or a list of some. Undefined if the key is absent, null or an empty list. */
function idsAt({ path, json }: Source, key: string, vocabSize: number): readonly number[] | undefined {
  const value = json[key]
  if (value === undefined || value === null) return undefined
  const ids = Array.isArray(value) ? (value as readonly Json[]) : [value]
  const isId = (id: Json | undefined): id is number =>
    typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < vocabSize
  if (!ids.every(isId))
    throw new FileError(
      `${path}: ${key} is ${JSON.stringify(value)}, and the ids of this model are whole numbers below ${vocabSize}`,
    )
  return ids.length > 0 ? ids : undefined
}

/** The ids of the padding, EOS and BOS tokens whose texts tokenizer_config.json names. */
function tokenizerIds({ path, json }: Source): Source {
  const added = isObject(json['added_tokens_decoder']) ? json['added_tokens_decoder'] : {}
  const texts = new Map(
    Object.entries(added).flatMap(([id, token]) =>
      isObject(token) && typeof token['content'] === 'string' ? [[token['content'], Number(id)] as const] : [],
    ),
  )
  const ids = ['pad_token', 'eos_token', 'bos_token'].flatMap(key => {
    const token = json[key]
    const text = isObject(token) ? token['content'] : token
    const id = typeof text === 'string' ? texts.get(text) : undefined
    return id === undefined ? [] : [[`${key}_id`, id] as const]
  })
  return { path, json: Object.fromEntries(ids) }
}
