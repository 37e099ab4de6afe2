import { join } from 'node:path'
import * as z from 'zod'
import { FileError } from '../base/errors.js'
import { hostFrom, toNumbers } from '../base/host-tensor.js'
import type { HostTensor } from '../base/host-tensor.js'
import type { SpecialIds } from '../base/special-ids.js'
import { listItems } from '../checkpoint/format.js'
import { readSmallText } from '../checkpoint/files.js'
import { parseJson } from '../checkpoint/json.js'
import { generationFromHf, generationToHf } from '../checkpoint/names/hf-generation.js'
import { safetensors } from '../checkpoint/safetensors.js'
import { searchOf } from '../infer/choose-search.js'
import { unsupportedFor } from '../infer/generation-options.js'
import { makeGenerator } from '../infer/generate.js'
import { withoutPadding } from '../infer/padded-inputs.js'
import { specialIdsOf, stackLayers } from '../model/config.js'
import type { ModelConfig, RouterConfig } from '../model/config.js'
import { settingEntries } from '../model/generation-defaults.js'
import type { GenerationDefaults } from '../model/generation-defaults.js'
import { generateWithoutCache } from './cacheless.js'
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

export interface VerifyGenerationOptions {
  /** The largest difference of beam scores that is ok, relative to the largest score. Default: 1e-4. */
  readonly tolerance?: number
  /** The folder's own model, if it is loaded already. */
  readonly own?: HfModel
  /** The model to test. Default: the folder's own. */
  readonly tested?: HfModel
}

/**
 * Generates from the inputs of an HF folder's cases with each set of arguments in its `generation.json`, and compares
 * tokens exactly and beam scores within the tolerance.
 */
export async function verifyGeneration(
  folder: string,
  { tolerance = SCORE_TOLERANCE, own, tested }: VerifyGenerationOptions = {},
): Promise<Row[]> {
  const path = join(folder, 'generation.json')
  const text = await readSmallText(path, 2 ** 24)
  const parsed = casesSchema.safeParse(
    parseJson(text, message => new FileError(`${path}: this is not JSON, ${message}`)),
  )
  if (!parsed.success)
    throw new FileError(`${path}: these are not recorded cases of generation: ${z.prettifyError(parsed.error)}`)
  const recorded = own ?? (await loadHfFolder(folder))
  const { model, router, params } = tested ?? recorded
  const { eosIds } = specialIdsOf(recorded.model)
  const { padded, inputs } = await inputsOf(join(folder, 'cases.safetensors'), specialIdsOf(recorded.model))
  const cases = Object.entries(parsed.data).map(([name, { args, ...results }]) => {
    const generation = withArguments(model, args, `${path}: ${name}`)
    return { name, ...results, generation, limit: generation.maxNewTokens ?? DEFAULT_TOKENS }
  })
  // One generator for all cases is compiled once: each search has its own limit.
  const maxNewTokens = Math.max(1, ...cases.map(({ limit }) => limit))
  const generate = makeGenerator({ config: model, router, maxNewTokens })

  const rows: Row[] = []
  for (const { name, use_cache, sequences, sequences_scores: scores, generation, limit } of cases) {
    const config = { ...model, generation }
    // Rules about the tokens of an input apply to its padding too, as in HF.
    const searches = padded.map(input => searchOf({}, { config, limit, input }))
    const generated =
      use_cache || !mayDrop(model, router, limit)
        ? await generate(params, inputs, searches)
        : await generateWithoutCache({ model, router, params }, inputs, searches, limit)
    const answers = generated.flat()
    const [actual, expected] = [answers.map(a => a.tokens), sequences.map(sequence => answerOf(sequence, eosIds))]
    const length = Math.max(...[...actual, ...expected].map(tokens => tokens.length))
    const tokens = [actual, expected].map(answers => matrix(answers, length))
    rows.push(compare(`generation/${name}`, tokens[0], tokens[1], 0))
    if (scores)
      rows.push(compare(`generation/${name}/scores`, vector(answers.map(a => a.score)), vector(scores), tolerance))
  }
  return rows
}

/** Whether an expert of the decoder could have fewer places than an answer has tokens, so that it drops some. */
const mayDrop = (model: ModelConfig, { expertCapacity }: RouterConfig, numTokens: number): boolean =>
  expertCapacity !== null && expertCapacity < numTokens && stackLayers(model, 'decoder').some(({ sparse }) => sparse)

/** The most new tokens of an answer in transformers 5 if neither the model nor the caller says. */
const DEFAULT_TOKENS = 20

/**
 * A model's generation defaults with the arguments of a case. `place` names the case in errors. Throws a FileError for
 * arguments that are not computed here: sampling, texts, special ids that are not the model's, and what
 * `GenerationDefaults.unsupported` names, if it would matter to the answers.
 */
function withArguments(model: ModelConfig, args: Arguments, place: string): GenerationDefaults {
  const own = generationToHf(model.generation ?? {})
  const settings = { ...own, ...lengthsIn(args), ...args }
  const merged = generationFromHf({ config: {}, generationConfig: settings }, model.vocabSize, place)
  const unsupported = [
    ...unsupportedFor({}, merged),
    ...Object.keys(args).filter(name => name.endsWith('_token_id')),
    ...(merged.doSample ? ['do_sample'] : []),
    ...(merged.stop ? ['stop_strings'] : []),
  ]
  if (unsupported.length > 0)
    throw new FileError(`${place}: answers with ${listItems(unsupported)} cannot be compared: leave the case out`)
  return merged
}

/**
 * Null for the first name of each length that arguments give by its second name (max_length), since a model's own
 * length under the first name (max_new_tokens) would win over it.
 */
const lengthsIn = (args: Arguments): Arguments =>
  Object.fromEntries(
    settingEntries.flatMap(([, { hf, hfLength }]) =>
      hfLength !== undefined && (args[hfLength] ?? null) !== null ? [[hf, null]] : [],
    ),
  )

/** Token ids of each input: padded to one length, and without padding. */
interface RecordedInputs {
  readonly padded: readonly (readonly number[])[]
  readonly inputs: readonly (readonly number[])[]
}

/**
 * Reads the recorded inputs. Padding is what the recorded mask hides; without a mask, it is found as HF's `generate`
 * does. Throws a FileError if a mask hides anything else.
 */
async function inputsOf(path: string, specialIds: SpecialIds): Promise<RecordedInputs> {
  const reader = await safetensors.open(path)
  try {
    const padded = rowsOf(await reader.read('input_ids'))
    if (!reader.list().some(({ name }) => name === 'attention_mask'))
      return { padded, inputs: padded.map(input => withoutPadding(input, specialIds)) }
    const masks = rowsOf(await reader.read('attention_mask'))
    const inputs = padded.map((input, row) => {
      const length = masks[row].findLastIndex(seen => seen !== 0) + 1
      const shown = input.slice(0, length)
      if (masks[row].slice(0, length).includes(0) || withoutPadding(shown, specialIds).length < length)
        throw new FileError(
          `${path}: attention_mask hides a token before the end of row ${row}, or shows padding at its end: answers to such an input cannot be compared, so leave generation.json out`,
        )
      return shown
    })
    return { padded, inputs }
  } finally {
    await reader.close()
  }
}

/** The rows of a matrix. */
function rowsOf(tensor: HostTensor): number[][] {
  const [rows, length] = tensor.shape
  const values = toNumbers(tensor)
  return Array.from({ length: rows }, (_, row) => values.slice(row * length, (row + 1) * length))
}

/** Answers as a matrix, filled up to one length with -1, which is no token. */
function matrix(answers: readonly (readonly number[])[], length: number): HostTensor {
  const rows = answers.map(tokens => Array.from({ length }, (_, i) => tokens[i] ?? -1))
  return hostFrom('int32', [rows.length, length], rows.flat())
}

/** The answer in a sequence of HF's: without the start token, and up to the first EOS. */
function answerOf(sequence: readonly number[], eosIds: readonly number[]): readonly number[] {
  const answer = sequence.slice(1)
  const end = answer.findIndex(id => eosIds.includes(id))
  return end < 0 ? answer : answer.slice(0, end + 1)
}

const vector = (values: readonly number[]): HostTensor => hostFrom('float32', [values.length], values)
