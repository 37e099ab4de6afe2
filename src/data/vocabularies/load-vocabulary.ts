import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod'
import { ConfigError, FileError } from '../../base/errors.js'
import { formatBytes } from '../../base/format.js'
import { ByteVocabulary } from '../../text/bytes.js'
import { SentencePieceVocabulary } from '../../text/sentencepiece.js'
import { sentinelNumber } from '../../text/sentinels.js'
import { vocabularyFiles } from '../../text/files.js'
import { MAX_MODEL_BYTES, parseSentencePieceModel } from '../../text/spiece-model.js'
import { addedTokensById } from '../../text/tokenizer-json/added-tokens.js'
import { fromTokenizerJson } from '../../text/tokenizer-json.js'
import {
  fromVocabAndMerges,
  tokenizerFacts,
  tokenizerWithFacts,
  withAddedTokens,
} from '../../text/tokenizer-json/facts.js'
import type { TokenizerFacts } from '../../text/tokenizer-json/facts.js'
import type { Vocabulary, VocabularyReference } from '../../text/vocabulary.js'

/** The largest tokenizer.json of the family, that of mT5, has 16 MB. */
const MAX_JSON_BYTES = 2 ** 26

const byteConfig = z.object({
  tokenizer_class: z.literal(
    'ByT5Tokenizer',
    'must be "ByT5Tokenizer": other tokenizers have a spiece.model or tokenizer.json, which is missing here',
  ),
  extra_ids: z.int().optional(),
  added_tokens_decoder: addedTokensById.optional(),
})

/**
 * Loads the vocabulary in a model's folder, with the added tokens that lie beside it, or in one file: `spiece.model`,
 * `tokenizer.json` or ByT5's `tokenizer_config.json`. The files are not trusted; a FileError says what is
 * missing or wrong.
 */
export async function loadVocabulary(path: string): Promise<Vocabulary> {
  if (!(await isFolder(path))) return readVocabulary(path)
  return vocabularyOfFolder(path, await filesIn(path))
}

/** The vocabulary of a folder by the files in it, in the order of `vocabularyFiles`. */
async function vocabularyOfFolder(folder: string, names: ReadonlySet<string>): Promise<Vocabulary> {
  const at = (name: string): string => join(folder, name)
  const has = (name: string): boolean => names.has(name)
  const facts = await readFacts(folder, names)
  if (has('spiece.model'))
    return build(at('spiece.model'), MAX_MODEL_BYTES, bytes => withAddedTokens(parseSentencePieceModel(bytes), facts))
  if (has('tokenizer.json'))
    return build(at('tokenizer.json'), MAX_JSON_BYTES, bytes => tokenizerWithFacts(parseJson(bytes), facts))
  if (has('vocab.json') && has('merges.txt')) {
    const merges = await build(at('merges.txt'), MAX_JSON_BYTES, bytes => new TextDecoder().decode(bytes))
    return build(at('vocab.json'), MAX_JSON_BYTES, bytes => fromVocabAndMerges(parseJson(bytes), merges, facts))
  }
  if (has('tokenizer_config.json')) return readVocabulary(at('tokenizer_config.json'))
  throw new FileError(`${folder}: the folder holds no vocabulary (${vocabularyFiles.join(', ')})`)
}

/**
 * What the JSON files beside a model of pieces say of special tokens, sentinels and added tokens. A tokenizer.json
 * beside a spiece.model counts for its added tokens only.
 */
async function readFacts(folder: string, names: ReadonlySet<string>): Promise<TokenizerFacts> {
  const json = (name: string): Promise<unknown> =>
    names.has(name) ? build(join(folder, name), MAX_JSON_BYTES, parseJson) : Promise.resolve(undefined)
  const readsTokens = names.has('spiece.model') && names.has('tokenizer.json')
  const [config, specialTokens, added, tokenizer, model] = await Promise.all([
    json('tokenizer_config.json'),
    json('special_tokens_map.json'),
    json('added_tokens.json'),
    readsTokens ? json('tokenizer.json').catch(() => undefined) : undefined,
    names.has('config.json'),
  ])
  try {
    return tokenizerFacts({ config, specialTokens, added, tokenizer, isModel: model })
  } catch (error) {
    if (error instanceof ConfigError) throw new FileError(`${folder}: ${error.message}`, { cause: error })
    throw error
  }
}

async function filesIn(folder: string): Promise<ReadonlySet<string>> {
  return new Set(await orFileError(folder, () => readdir(folder)))
}

/**
 * T5's vocabulary, which Flan-T5 and Switch use as well: 32,000 pieces and 100 sentinels. The package contains it. With
 * `reference: 'seqio'` it gives SeqIO's ids also for texts in which a sentinel follows a letter.
 */
export async function loadT5Vocabulary(
  options: { readonly reference?: VocabularyReference } = {},
): Promise<SentencePieceVocabulary> {
  return readModel(fileURLToPath(new URL('../../../assets/t5-vocab/spiece.model', import.meta.url)), undefined, options)
}

async function readVocabulary(path: string): Promise<Vocabulary> {
  if (!path.endsWith('.json')) return readModel(path)
  return build(path, MAX_JSON_BYTES, bytes => {
    const json = parseJson(bytes)
    if (path.endsWith('tokenizer_config.json')) return bytesFromConfig(json)
    return fromTokenizerJson(json)
  })
}

/** `sentinels` follow the model's pieces; T5's number by default. */
const readModel = (
  path: string,
  sentinels?: number,
  options?: { readonly reference?: VocabularyReference },
): Promise<SentencePieceVocabulary> =>
  build(path, MAX_MODEL_BYTES, bytes => SentencePieceVocabulary.fromModel(bytes, sentinels, options))

function bytesFromConfig(json: unknown): ByteVocabulary {
  const result = byteConfig.safeParse(json)
  if (!result.success) throw new ConfigError(z.prettifyError(result.error))
  const { extra_ids: extra, added_tokens_decoder: added } = result.data
  // transformers 5 writes the sentinels as added tokens, and "extra_ids": 0.
  const tokens = Object.entries(added ?? {}).map(([id, token]) => ({ ...token, id: Number(id) }))
  const others = tokens.filter(({ content }) => sentinelNumber(content) === undefined)
  const listed = tokens.length - others.length
  return new ByteVocabulary(listed > 0 ? listed : extra, { added: others })
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown
  } catch (error) {
    throw new ConfigError(`not JSON, or cut off: ${(error as Error).message}`)
  }
}

/** Reads a whole file and makes a vocabulary of it. Throws a FileError that names the file if anything is wrong. */
async function build<V>(path: string, maxBytes: number, make: (bytes: Uint8Array) => V): Promise<V> {
  const info = await orFileError(path, () => stat(path))
  if (!info.isFile()) throw new FileError(`${path}: this is not a regular file`)
  if (info.size > maxBytes)
    throw new FileError(
      `${path}: ${formatBytes(info.size)} is too large for a vocabulary; the limit is ${formatBytes(maxBytes)}`,
    )
  const bytes = await orFileError(path, () => readFile(path))
  try {
    return make(bytes)
  } catch (error) {
    if (error instanceof ConfigError) throw new FileError(`${path}: ${error.message}`, { cause: error })
    throw error
  }
}

const isFolder = async (path: string): Promise<boolean> => (await orFileError(path, () => stat(path))).isDirectory()

async function orFileError<T>(path: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new FileError(
      code === 'ENOENT' ? `${path}: there is no such file or folder` : `${path}: cannot be read: ${message}`,
      { cause: error },
    )
  }
}
