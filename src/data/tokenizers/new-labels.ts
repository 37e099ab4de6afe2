import { ConfigError } from '../../base/errors.js'
import { formatCount } from '../../base/format.js'
import { MarkedWordsVocabulary } from '../../text/marked-words.js'
import { splitWords, WordVocabulary } from '../../text/symbols.js'
import type { Task } from '../task.js'

const SHOWN = 5

/** Targets with at most this many different texts are labels, whatever their number of words. */
const MAX_LABELS = 50

/**
 * Throws a ConfigError if training targets have labels that a model to fine-tune has no word for: it would learn to
 * answer the sign for unknown words. Labels are the words of targets that are numbered (a tagger's), the targets of one
 * word, and all targets if few of them differ. Other vocabularies spell a new label.
 */
export function checkLabels(task: Pick<Task, 'name' | 'codec' | 'split'>): void {
  const { name, codec } = task
  const words = codec.targets instanceof MarkedWordsVocabulary ? codec.targets.words : codec.targets
  if (!(words instanceof WordVocabulary)) return
  const train = task.split('train')
  const different = new Set(train.map(({ target }) => target))
  const areLabels = words !== codec.targets || different.size <= Math.min(MAX_LABELS, train.length / 2)
  const lacks = new Map(Array.from(different, target => [target, newLabels(words, target, areLabels)]))
  const unknown = train.flatMap(({ target }) => (lacks.get(target)!.length > 0 ? [lacks.get(target)!] : []))
  if (unknown.length === 0) return
  const labels = [...new Set(unknown.flat())]
  const share = ((100 * unknown.length) / train.length).toFixed(1)
  throw new ConfigError(
    `${name}: ${formatCount(unknown.length)} of ${formatCount(train.length)} training targets (${share}%) have labels that the model does not have: ${listed(labels)}. It has the words ${listed(words.symbols)} only, and can learn no others. Leave these rows out, give their labels a word that it has (--labels), or train a new model on all the data (switchyard train --data FILE)`,
  )
}

/** The words of a target that the vocabulary lacks, if the target is a label or a list of labels. */
function newLabels(words: WordVocabulary, target: string, isLabel: boolean): string[] {
  const all = splitWords(target)
  return isLabel || all.length === 1 ? all.filter(word => words.encode(word).includes(words.unkId)) : []
}

function listed(labels: readonly string[]): string {
  const shown = labels.slice(0, SHOWN).map(label => JSON.stringify(label))
  return `${shown.join(', ')}${labels.length > SHOWN ? ` and ${formatCount(labels.length - SHOWN)} more` : ''}`
}
