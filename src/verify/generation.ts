import { join } from 'node:path'
import * as z from 'zod'
import { FileError } from '../base/errors.js'
import { hostFrom, toNumbers } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import { listItems } from '../checkpoint/format.js'
import { readSmallText } from '../checkpoint/files.js'
import { parseJson } from '../checkpoint/json.js'
import { generationFromHf, generationToHf } from '../checkpoint/names/hf-generation.js'
import { safetensors } from '../checkpoint/safetensors.js'
import { searchOf } from '../infer/choose-search.js'
import { makeGenerator } from '../infer/generate.js'
import type { Generator } from '../infer/generate.js'
import { specialIdsOf, stackLayers } from '../model/config.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import type { GenerationDefaults } from '../model/generation-defaults.js'
import { compare } from './compare.js'
import type { Row } from './compare.js'
import { loadHfFolder } from './hf-folder.js'
import type { HfModel } from './hf-folder.js'

/** Arguments of HF's `generate`: settings of generation_config.json, which win over the folder's own. */
const argumentsSchema = z.record(z.string(), z.json())
type Arguments = z.infer<typeof argumentsSchema>

const casesSchema = z.record(
  z.string(),
  z.object({
    args: argumentsSchema,
    /** Whether HF decoded with its cache. */
    use_cache: z.boolean().default(true),
    sequences: z.array(z.array(z.int()).min(1)).min(1),
    sequences_scores: z.array(z.number()).optional(),
  }),
)

/** The default tolerance of scores, which the file stores with six digits. */
const SCORE_TOLERANCE = 1e-4

/**
 * Generates from the inputs of an HF folder's cases with each set of arguments in its `generation.json`, and compares
 * tokens exactly and beam scores within `tolerance` of the largest. `tested` replaces the folder's own model.
 *
 * Without its cache, HF routes all tokens of an answer again at each step, and drops those beyond an expert's capacity.
 * With it, as here, each step routes one token, and drops none. Differences of such a case are excused.
 */
export async function verifyGeneration(folder: string, tested?: HfModel, tolerance = SCORE_TOLERANCE): Promise<Row[]> {
  const path = join(folder, 'generation.json')
  const text = await readSmallText(path, 2 ** 24)
  const parsed = casesSchema.safeParse(
    parseJson(text, message => new FileError(`${path}: this is not JSON, ${message}`)),
  )
  if (!parsed.success)
    throw new FileError(`${path}: these are not recorded cases of generation: ${z.prettifyError(parsed.error)}`)
  const { model, router, params } = tested ?? (await loadHfFolder(folder))
  const { padId, eosIds } = specialIdsOf(model)
  const padded = await inputsOf(join(folder, 'cases.safetensors'))
  const inputs = padded.map(input => input.slice(0, input.findLastIndex(id => id !== padId) + 1))
  const generators = new Map<number, Generator>()
  const generatorFor = (maxNewTokens: number): Generator => {
    const generator = generators.get(maxNewTokens) ?? makeGenerator({ config: model, router, maxNewTokens })
    generators.set(maxNewTokens, generator)
    return generator
  }

  const rows: Row[] = []
  for (const [name, { args, use_cache, sequences, sequences_scores: scores }] of Object.entries(parsed.data)) {
    const generation = withArguments(model, args, `${path}: ${name}`)
    const limit = generation.maxNewTokens ?? DEFAULT_TOKENS
    const excuse = use_cache || !mayDrop(model, router, limit) ? undefined : CACHELESS
    const config = { ...model, generation }
    // Rules about the tokens of an input apply to its padding too, as in HF.
    const searches = padded.map(input => searchOf({}, { config, limit, input }))
    const answers = (await generatorFor(limit)(params, inputs, searches)).flat()
    const [actual, expected] = [answers.map(a => a.tokens), sequences.map(sequence => answerOf(sequence, eosIds))]
    const length = Math.max(...[...actual, ...expected].map(tokens => tokens.length))
    const tokens = [actual, expected].map(answers => matrix(answers, length, padId))
    const compared = [compare(`generation/${name}`, tokens[0], tokens[1], 0)]
    if (scores)
      compared.push(compare(`generation/${name}/scores`, vector(answers.map(a => a.score)), vector(scores), tolerance))
    rows.push(...compared.map(row => (row.ok || excuse === undefined ? row : { ...row, ok: true, excuse })))
  }
  return rows
}

const CACHELESS = 'recorded without a cache, where an expert may drop tokens'

/** Whether an expert of the decoder could have fewer places than an answer has tokens. */
const mayDrop = (model: ModelConfig, { expertCapacity }: RouterConfig, numTokens: number): boolean =>
  expertCapacity !== null && expertCapacity < numTokens && stackLayers(model, 'decoder').some(({ sparse }) => sparse)

/** The most new tokens of an answer in transformers 5 if neither the model nor the caller says. */
const DEFAULT_TOKENS = 20

/**
 * A model's generation defaults with the arguments of a case. `place` names the case in errors. Throws a FileError for
 * arguments that are not computed here: sampling, texts, special ids that are not the model's, and what
 * `GenerationDefaults.unsupported` names.
 */
function withArguments(model: ModelConfig, args: Arguments, place: string): GenerationDefaults {
  const own = generationToHf(model.generation ?? {})
  const merged = generationFromHf({ config: {}, generationConfig: { ...own, ...args } }, model.vocabSize, place)
  const unsupported = [
    ...Object.keys(merged.unsupported ?? {}),
    ...Object.keys(args).filter(name => name.endsWith('_token_id')),
    ...(merged.doSample ? ['do_sample'] : []),
    ...(merged.stop ? ['stop_strings'] : []),
  ]
  if (unsupported.length > 0)
    throw new FileError(`${place}: answers with ${listItems(unsupported)} cannot be compared: leave the case out`)
  return merged
}

/** Token ids of each input, padded to one length. */
async function inputsOf(path: string): Promise<number[][]> {
  const reader = await safetensors.open(path)
  try {
    const ids = await reader.read('input_ids')
    const [rows, length] = ids.shape
    const values = toNumbers(ids)
    return Array.from({ length: rows }, (_, row) => values.slice(row * length, (row + 1) * length))
  } finally {
    await reader.close()
  }
}

/** Answers as a matrix, padded to one length. */
function matrix(answers: readonly (readonly number[])[], length: number, padId: number): HostTensor {
  const rows = answers.map(tokens => [...tokens, ...Array.from({ length: length - tokens.length }, () => padId)])
  return hostFrom('int32', [rows.length, length], rows.flat())
}

/** The answer in a sequence of HF's: without the start token, and up to the first EOS. */
function answerOf(sequence: readonly number[], eosIds: readonly number[]): readonly number[] {
  const answer = sequence.slice(1)
  const end = answer.findIndex(id => eosIds.includes(id))
  return end < 0 ? answer : answer.slice(0, end + 1)
}

const vector = (values: readonly number[]): HostTensor => hostFrom('float32', [values.length], values)
