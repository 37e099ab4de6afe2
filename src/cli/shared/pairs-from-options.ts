import { overrideTask } from '../../config/overrides.js'
import type { PairsSettings } from '../../data/pairs/settings.js'
import { pairsSettingsOf } from '../../data/pairs/settings.js'
import type { DataOptions } from './data-options.js'

/**
 * The settings of the task that the options name, changed by those overrides that begin with `task.`; and the others.
 */
export function pairsFromOptions(
  data: string,
  { input, target, split, validation, test, header, delimiter, quotes, skipBadRows, labels, tokenizer }: DataOptions,
  overrides: readonly string[],
): { settings: PairsSettings; others: string[] } {
  const settings = pairsSettingsOf({
    path: data,
    input,
    target,
    split,
    validation,
    test,
    header,
    delimiter,
    quotes,
    skipBadRows,
    labels,
    inputTokenizer: tokenizer?.inputs,
    targetTokenizer: tokenizer?.targets,
  })
  const { task, others } = overrideTask({ kind: 'pairs', ...settings }, overrides)
  const { kind: _, ...changed } = task
  return { settings: changed as unknown as PairsSettings, others }
}
