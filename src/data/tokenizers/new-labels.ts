import { ConfigError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { MarkedWordsVocabulary } from '../../text/marked-words.js'
import { splitWords, WordVocabulary } from '../../text/symbols.js'
import type { Task } from '../task.js'

const SHOWN = 5

/**
 * Throws a ConfigError if training targets are labels that a model to fine-tune has no word for: it would learn to
 * answer the sign for unknown words. Other vocabularies spell a new label.
 */
export function checkLabels(task: Pick<Task, 'name' | 'codec' | 'split'>): void {
  const { name, codec } = task
  const words = codec.targets instanceof MarkedWordsVocabulary ? codec.targets.words : codec.targets
  if (!(words instanceof WordVocabulary)) return
  const train = task.split('train')
  const unknown = train.map(({ target }) => target).filter(target => isNewLabel(words, target))
  if (unknown.length === 0) return
  const labels = [...new Set(unknown)]
  const share = ((100 * unknown.length) / train.length).toFixed(1)
  throw new ConfigError(
    `${name}: ${formatCount(unknown.length)} of ${formatCount(train.length)} training targets (${share}%) are labels that the model does not have: ${listed(labels)}. It has the words ${listed(words.symbols)} only, and can learn no others. Leave these rows out, give their labels a word that it has (--labels), or train a new model on all the data (switchyard train --data FILE)`,
  )
}

const isNewLabel = (words: WordVocabulary, target: string): boolean =>
  splitWords(target).length === 1 && words.encode(target).includes(words.unkId)

function listed(labels: readonly string[]): string {
  const shown = labels.slice(0, SHOWN).map(label => JSON.stringify(label))
  return `${shown.join(', ')}${labels.length > SHOWN ? ` and ${formatCount(labels.length - SHOWN)} more` : ''}`
}
