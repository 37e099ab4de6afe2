import { basename, extname, resolve } from 'node:path'
import { ConfigError, FileError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { symbolErrorRate, wrongAnswerRate } from '../../metrics/error-rates.js'
import type { Metric } from '../../metrics/metric.js'
import { symbolsOf } from '../../text/symbols-of.js'
import { splitWords, WordVocabulary } from '../../text/symbols.js'
import { MarkedWordsVocabulary } from '../../text/marked-words.js'
import type { Vocabulary } from '../../text/vocabulary.js'
import { NO_ROWS, readPairs } from '../pairs/read.js'
import { pairsSettings, pairsSettingsOf } from '../pairs/settings.js'
import type { PairsSettings } from '../pairs/settings.js'
import { mergeInputs } from '../example.js'
import type { Example, SplitName } from '../example.js'
import { makeTask, taskCodec } from '../task.js'
import type { Task, TaskCodec } from '../task.js'
import { chooseTokenizers } from '../tokenizers/choose.js'
import { coverageWarnings } from '../tokenizers/coverage.js'
import { describeVocabulary, makeVocabularies } from '../tokenizers/tokenizers.js'
import type { Tokenizers } from '../tokenizers/names.js'
import { isWordForWord, losesSpaces, numberBySentinels, numberWords } from '../tokenizers/word-for-word.js'
import { loadT5Vocabulary } from '../vocabularies/load-vocabulary.js'
import { taskKind } from './kind.js'

export interface PairsOptions {
  /**
   * Whether `codec` is that of a run, which has learned with numbered words or without: then it is kept as it is.
   * Otherwise words are numbered by the model's sentinels if targets go word for word with inputs. Default: true.
   */
  readonly isOfRun?: boolean
}

/**
 * The pairs of texts of a user's file: CSV, TSV, JSON Lines or Parquet. Given a path alone, columns, header, splits and
 * tokenizers are recognized or chosen (`chooseColumns`, `firstRecord`, `splitOf`, `chooseTokenizers`); the task's
 * `notes` say how, and its `config` holds the choices. With a `codec` (of a run, or of a model to fine-tune), its
 * vocabularies are used. Throws a FileError with file and line, or a ConfigError.
 */
export async function pairsTask(
  given: string | PairsSettings,
  codec?: TaskCodec,
  { isOfRun = true }: PairsOptions = {},
): Promise<Task> {
  const settings = typeof given === 'string' ? pairsSettingsOf({ path: given }) : given
  const { examples, columns, notes, digest } = await readPairs(settings)
  checkTrainable(settings.path, examples)
  const heldOut = [...examples.validation, ...examples.test]
  const isNumbered =
    settings.numberWords ?? (codec && !isOfRun && isWordForWord(examples.train, codec.targets)) ?? false
  const chosen = codec
    ? { ...codec, ...(isNumbered ? numberBySentinels(codec) : {}) }
    : await chooseCodec(settings, examples.train, heldOut)
  checkNumbering(settings, chosen)
  const classification = settings.classification ?? areLabels(examples.train, chosen.targets)
  const file = resolve(settings.path)
  return makeTask({
    name: nameOf(file),
    config: {
      kind: 'pairs',
      ...settings,
      path: file,
      validation: settings.validation && resolve(settings.validation),
      test: settings.test && resolve(settings.test),
      ...columns,
      ...('tokenizers' in chosen && {
        inputTokenizer: chosen.tokenizers.inputs,
        targetTokenizer: chosen.tokenizers.targets,
      }),
      numberWords: areNumbered(chosen),
      classification,
    },
    codec: taskCodec({ ...chosen, lowercase: codec?.lowercase }),
    splits: examples,
    digests: digest === undefined ? [] : [digest],
    metrics: pairsMetrics(chosen.targets, classification),
    notes: [
      ...notes,
      ...tooFewWarnings(examples.train.length, codec === undefined),
      ...repeatNotes(examples),
      tokensNote(chosen, codec !== undefined),
      ...numbersNotes(settings, chosen, examples.train, codec && (isOfRun ? 'run' : 'pretrained')),
      ...lostSpacesWarnings(examples.train, chosen, codec === undefined),
      ...coverageWarnings(chosen, { train: examples.train, heldOut }, codec === undefined ? 'chosen' : 'model'),
    ],
  })
}

/** How text becomes tokens, for a user. */
function tokensNote({ inputs, targets, tokenizers }: Partial<Chosen> & Vocabularies, given: boolean): string {
  const input = describeVocabulary(inputs, tokenizers?.inputs)
  const both =
    inputs === targets ? input : `inputs by ${input}, targets by ${describeVocabulary(targets, tokenizers?.targets)}`
  return given ? `tokens: the model's own, ${both}` : `tokens: ${both}; --tokenizer changes it`
}

/**
 * Whether the words of both sides are numbered, and why. `model` is what the vocabularies are from: a run, a pretrained
 * model, or undefined for a new model.
 */
function numbersNotes(
  { numberWords: wanted }: PairsSettings,
  { inputs, targets }: Vocabularies,
  train: readonly Example[],
  model: 'run' | 'pretrained' | undefined,
): string[] {
  if (areNumbered({ targets })) {
    const numbered = 'words are numbered on both sides'
    if (model === 'run') return [wanted === null ? `${numbered}, as in the training of the model` : numbered]
    const why = `${numbered}${model ? " by the model's sentinels" : ''}, since targets go word for word with inputs (task.numberWords=false changes it)`
    return [
      model ? why : `${why}, and the model begins with attention that finds equal numbers (train.init, train.rates)`,
    ]
  }
  const canBe = areNumbered(numberBySentinels({ inputs, targets })) && isWordForWord(train, targets)
  return model === 'run' && wanted === null && canBe
    ? [
        'targets go word for word with inputs, but words are not numbered, as in the training of the model (task.numberWords=true numbers them)',
      ]
    : []
}

/** Throws a ConfigError if a model to fine-tune cannot number words, or not, as the settings say. */
function checkNumbering({ numberWords: wanted }: PairsSettings, chosen: Vocabularies): void {
  if (wanted === null || wanted === areNumbered(chosen)) return
  throw new ConfigError(
    wanted
      ? "task.numberWords=true: the words of a model to fine-tune are numbered by its sentinels (<extra_id_0>), and this model's vocabulary has none that both sides share: leave the setting out, or begin with a pretrained T5"
      : 'task.numberWords=false: this model was trained with numbered words, and needs them: leave the setting out, or train a new model (switchyard train)',
  )
}

/** Says how many targets can never be right, because numbered words are joined by one space. */
function lostSpacesWarnings(train: readonly Example[], { targets }: Vocabularies, isNew: boolean): string[] {
  if (!(targets instanceof MarkedWordsVocabulary)) return []
  const count = train.filter(({ target }) => losesSpaces(targets.words, target)).length
  if (count === 0) return []
  const advice = isNew ? '; task.numberWords=false keeps them' : ''
  return [
    `warning: numbered words are joined by one space, and ${formatCount(count)} of ${formatCount(train.length)} training targets have double spaces, tabs or line breaks, which the model can never write${advice}`,
  ]
}

const areNumbered = ({ targets }: Pick<Vocabularies, 'targets'>): boolean => targets instanceof MarkedWordsVocabulary

interface Vocabularies {
  readonly inputs: Vocabulary
  readonly targets: Vocabulary
}

interface Chosen extends Vocabularies {
  readonly tokenizers: Tokenizers
}

async function chooseCodec(
  { inputTokenizer, targetTokenizer, numberWords: isNumbered }: PairsSettings,
  train: readonly Example[],
  heldOut: readonly Example[],
): Promise<Chosen> {
  const automatic =
    inputTokenizer === null || targetTokenizer === null
      ? chooseTokenizers(train, heldOut, await loadT5Vocabulary())
      : undefined
  // A side that is not given follows one that is, unless our choice for it can stand beside that.
  const inputs = inputTokenizer ?? compatible(automatic!.inputs, targetTokenizer)
  const targets = targetTokenizer ?? compatible(automatic!.targets, inputTokenizer)
  const tokenizers = { inputs, targets }
  const vocabularies = await makeVocabularies(tokenizers, train)
  return {
    tokenizers,
    ...((isNumbered ?? isWordForWord(train, vocabularies.targets)) ? numberWords(vocabularies, train) : vocabularies),
  }
}

/** Our choice for one side, or the other side's tokenizer where T5's pieces and bytes would meet. */
const compatible = (choice: Tokenizers['inputs'], other: Tokenizers['inputs'] | null): Tokenizers['inputs'] =>
  (choice === 't5' && other === 'bytes') || (choice === 'bytes' && other === 't5') ? other : choice

function checkTrainable(path: string, examples: Readonly<Record<SplitName, readonly Example[]>>): void {
  const { train, validation, test } = examples
  const all = train.length + validation.length + test.length
  if (train.length > 0) return
  throw new FileError(
    all === 0
      ? `${path}: ${NO_ROWS}`
      : `${path}: none of its ${all} examples fell into the training split; add more examples`,
  )
}

/** With fewer training examples than this, a new model and one that is fine-tuned can only repeat what they saw. */
const FEW = { new: 100, fineTuned: 10 }

/** Says that the data is too small to learn from. */
function tooFewWarnings(count: number, isNew: boolean): string[] {
  if (count >= (isNew ? FEW.new : FEW.fineTuned)) return []
  const needs = isNew
    ? 'a new model needs hundreds to learn a task, and thousands to learn it well; to fine-tune a model (switchyard finetune), fewer are enough'
    : 'fine-tuning needs dozens at least'
  return [
    `warning: only ${formatCount(count)} training ${count === 1 ? 'example: it is' : 'examples: they are'} too few to learn from, and the model will do little more than repeat them. Add examples: ${needs}`,
  ]
}

/** Says how many held-out examples have the input of another one: evaluation asks each input once. */
function repeatNotes({ validation, test }: Readonly<Record<SplitName, readonly Example[]>>): string[] {
  const all = validation.length + test.length
  const asked = mergeInputs(validation).length + mergeInputs(test).length
  return asked === all
    ? []
    : [
        `${formatCount(all - asked)} of ${formatCount(all)} held-out examples repeat an input: each input is asked once, and all its targets are right answers`,
      ]
}

/** More different targets than this are texts, not labels. */
const MAX_LABELS = 100

/** Whether the targets of examples look like labels: few different ones, or single words of a vocabulary of words. */
export function areLabels(examples: readonly Example[], targets: Vocabulary): boolean {
  const different = new Set(examples.map(({ target }) => target)).size
  const isWord = ({ target }: Example): boolean => splitWords(target).length === 1
  return (
    different <= MAX_LABELS &&
    (different * 10 <= examples.length || (targets instanceof WordVocabulary && examples.every(isWord)))
  )
}

/** The figures of pairs. Of labels, an answer is right or wrong; of other targets, parts can be right as well. */
export function pairsMetrics(targets: Vocabulary, classification: boolean): readonly Metric[] {
  const symbols = symbolsOf(targets)
  const wrong = wrongAnswerRate('wrong answers', symbols)
  return classification ? [wrong] : [symbolErrorRate('symbol error rate', symbols), wrong]
}

/** The file's name without folders, endings and the characters of patterns. */
function nameOf(file: string): string {
  const plain = basename(file).replace(/\.gz$/i, '')
  return (
    basename(plain, extname(plain))
      .replaceAll(/[*?{}[\]]+/g, '')
      .replace(/[-_.]+$/, '') || 'pairs'
  )
}

export const pairs = taskKind('pairs', pairsSettings, (settings, codec) => pairsTask(settings, codec))
