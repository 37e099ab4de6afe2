import { symbolErrorRate, wrongAnswerRate } from '../../metrics/error-rates.js'
import { splitWords } from '../../text/symbols.js'
import { cacheDatasetPlaceholder } from '../pipeline.js'
import type { Fields } from '../preprocessor.js'
import { appendEos } from '../preprocessors/seqio/eos.js'
import { mapPreprocessor } from '../preprocessors/seqio/map-preprocessor.js'
import { rekey } from '../preprocessors/seqio/rekey.js'
import { tokenize } from '../preprocessors/seqio/tokenize.js'
import { spanCorruption } from '../preprocessors/span-corruption.js'
import { brownSource } from '../sources/npm/brown.js'
import { loadParts } from '../define-task.js'
import type { TaskParts } from '../define-task.js'
import { taskCodec } from '../task.js'
import type { TaskCodec } from '../task.js'
import { numberBySentinels } from '../tokenizers/word-for-word.js'
import { loadT5Vocabulary } from '../vocabularies/load-vocabulary.js'
import { definedKind } from './defined-kind.js'
import { taskKind } from './kind.js'
import { t5Features } from './t5-features.js'

/** A sentence's text (`ca01` of `ca01-12`): the sentences of one text are in one split. */
const textOf = ({ id }: Fields): string => (id as string).split('-')[0]

/** Pretraining on the Brown Corpus: T5's span corruption, with T5's vocabulary. It has no answers, only a loss. */
export const brown = definedKind({
  name: 'brown',
  source: brownSource,
  splitBy: textOf,
  preprocessors: [
    rekey({ inputs: null, targets: 'words' }),
    tokenize({ copyPretokenized: false }),
    cacheDatasetPlaceholder(),
    spanCorruption(),
    appendEos(),
  ],
  features: t5Features,
  units: { one: 'segment', many: 'segments' },
  metrics: [],
  suggestions: {
    inputs: ['The <extra_id_0> of the city said on Friday that <extra_id_1>'],
    train: 'finetune RUN --task pos --set train.steps=2000',
  },
})

/** Quotes as people type them, in words and tags alike: T5 has no piece for the corpus's opening quote. */
const plainQuotes = mapPreprocessor('plainQuotes', example => ({
  ...example,
  inputs: withPlainQuotes(example.inputs as string),
  targets: withPlainQuotes(example.targets as string),
}))

const withPlainQuotes = (words: string): string =>
  splitWords(words)
    .map(word => (word === '``' || word === "''" ? '"' : word))
    .join(' ')

const posParts: TaskParts = {
  name: 'pos',
  source: brownSource,
  splitBy: textOf,
  preprocessors: [rekey({ inputs: 'words', targets: 'tags' }), plainQuotes],
  features: t5Features,
  units: { one: 'sentence', many: 'sentences' },
  metrics: [symbolErrorRate('tag error rate', splitWords), wrongAnswerRate('wrong sentences', splitWords)],
  suggestions: { inputs: ['The old man crossed the river .'] },
}

/**
 * Part-of-speech tags of the Brown Corpus: a sentence's words in, one tag a word out. Words and tags are numbered by
 * sentinels: `<extra_id_0> The <extra_id_1> jury` is tagged `<extra_id_0> at <extra_id_1> nn`. That is the form of
 * span corruption, so a pretrained T5 knows where to look for each tag, however many pieces a word or a tag has.
 * A saved codec of this task is used as it is: runs of older versions did not number their words.
 */
export const pos = taskKind(
  'pos',
  {},
  async (_, codec, options) => loadParts(posParts, { kind: 'pos' }, codec ?? numbered(await t5Codec()), options),
  own => numbered(own),
)

const numbered = (own: TaskCodec): TaskCodec => taskCodec({ ...numberBySentinels(own), lowercase: own.lowercase })

async function t5Codec(): Promise<TaskCodec> {
  const vocabulary = await loadT5Vocabulary()
  return taskCodec({ inputs: vocabulary, targets: vocabulary })
}
