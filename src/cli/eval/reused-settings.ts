import { resolve } from 'node:path'
import { readInfo } from '../../checkpoint/checkpoint-info.js'
import { native } from '../../checkpoint/native.js'
import { latestCheckpoint } from '../../checkpoint/run-folder.js'
import { isPathTo } from '../../data/pairs/nested.js'
import { columnsIn } from '../../data/pairs/read.js'
import { pairsSettingsOf } from '../../data/pairs/settings.js'
import type { PairsSettings } from '../../data/pairs/settings.js'
import type { RunConfig } from '../../train/config.js'
import { shellWord } from '../shared/shell-word.js'

/** The settings of the pairs that a run learned; undefined for runs of other tasks and for other models. */
export async function pairsOfRun(path: string): Promise<PairsSettings | undefined> {
  const checkpoint = (await native.detect(path)) ? path : await latestCheckpoint(path).catch(() => undefined)
  if (checkpoint === undefined) return undefined
  const { task } = ((await readInfo(checkpoint)).info.config ?? {}) as Partial<RunConfig>
  if (task?.kind !== 'pairs') return undefined
  const { kind: _, ...settings } = task
  return pairsSettingsOf(settings as unknown as PairsSettings)
}

/** Settings of a run that are used for other data too. */
export interface Reused {
  readonly settings: PairsSettings
  /** What was taken from the run, for a user. */
  readonly notes: readonly string[]
}

/**
 * Completes the settings for a file of pairs by those of a run: columns that the file has, words for labels, and the
 * form of a CSV file. Numbers of columns are not taken over: another file may have another order.
 */
export async function reuseSettings(given: PairsSettings, run: PairsSettings, name: string): Promise<Reused> {
  const isSame = resolve(given.path) === run.path
  const form = {
    header: given.header ?? run.header,
    delimiter: given.delimiter ?? run.delimiter,
    quotes: given.quotes ?? run.quotes,
  }
  const wanted = { input: run.input, target: run.target, split: run.split }
  const columns = await columnsIn({ ...given, ...form, ...wanted })
  const taken = (['input', 'target', 'split'] as const).filter(side => {
    const column = wanted[side]
    return given[side] === null && column !== null && !/^\d+$/.test(column) && isPathTo(columns, column)
  })
  const settings = {
    ...given,
    ...form,
    ...Object.fromEntries(taken.map(side => [side, wanted[side]])),
    labels: given.labels ?? run.labels,
  }
  const options = [
    ...taken.map(side => (side === 'split' ? [] : `--${side} ${shellWord(wanted[side]!)}`)).flat(),
    ...(given.labels === null && run.labels !== null
      ? [
          `--labels ${shellWord(
            Object.entries(run.labels)
              .map(pair => pair.join('='))
              .join(','),
          )}`,
        ]
      : []),
    ...(given.header === null && run.header !== null ? [run.header ? '--header' : '--no-header'] : []),
    ...(given.delimiter === null && run.delimiter !== null ? [`--delimiter ${JSON.stringify(run.delimiter)}`] : []),
    ...(given.quotes === null && run.quotes !== null ? [run.quotes ? '--quotes' : '--no-quotes'] : []),
  ]
  return {
    settings,
    notes: [
      ...(options.length > 0 ? [`as in the training of ${name}: ${options.join(' ')}`] : []),
      ...(isSame && settings.split === null
        ? [`warning: ${name} was trained on most of this data: without --data, eval scores the held-out part alone`]
        : []),
    ],
  }
}
