import { symbolErrorRate, wrongAnswerRate } from '../../metrics/error-rates.js'
import { sideBySide, splitWords } from '../../text/symbols.js'
import { LETTERS, loadCmudict, PHONEMES } from '../cmudict.js'
import { makeTask, taskCodec } from '../task.js'
import type { TaskLoadOptions, Task, TaskCodec } from '../task.js'
import { taskKind } from './kind.js'

/** 27 letters (with the apostrophe) and 39 phonemes, each with an id of its own. */
export function g2pCodec(): TaskCodec {
  const { characters, words } = sideBySide(LETTERS, PHONEMES)
  return taskCodec({ inputs: characters, targets: words, lowercase: true })
}

/** Grapheme-to-phoneme conversion: English spelling to pronunciation, from the CMU Pronouncing Dictionary. */
export async function g2pTask(
  codec: TaskCodec = g2pCodec(),
  { withoutData = false }: TaskLoadOptions = {},
): Promise<Task> {
  return makeTask({
    name: 'g2p',
    config: { kind: 'g2p' },
    codec,
    examples: withoutData ? [] : await loadCmudict(),
    units: { one: 'word', many: 'words' },
    metrics: [
      symbolErrorRate('phoneme error rate (PER)', splitWords),
      wrongAnswerRate('word error rate (WER)', splitWords),
    ],
    suggestions: {
      inputs: ['switchyard', 'transformer', 'serendipity'],
      train: 'train g2p --set train.steps=20000 --set model.numExperts=32',
    },
  })
}

export const g2p = taskKind('g2p', {}, (_, codec, options) => g2pTask(codec, options))
