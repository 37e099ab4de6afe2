import { isPathTo } from '../../data/pairs/nested.js'
import { columnsIn } from '../../data/pairs/read.js'
import type { PairsSettings } from '../../data/pairs/settings.js'
import { shellWord } from './shell-word.js'

/** Settings of a run that are used for other data too. */
type Column = 'input' | 'target' | 'split'

export interface Reused {
  readonly settings: PairsSettings
  /** What was taken from the run, for a user. */
  readonly notes: readonly string[]
}

/**
 * Completes the settings for a file of pairs by those of a run: columns that the file has, words for labels, the form
 * of a CSV file, and whether bad rows are left out. Numbers of columns are taken over for a file without a header line.
 * `sides` are the columns that are read.
 */
export async function reuseSettings(
  given: PairsSettings,
  run: PairsSettings,
  name: string,
  sides: readonly Column[] = ['input', 'target', 'split'],
): Promise<Reused> {
  const form = {
    header: given.header ?? run.header,
    delimiter: given.delimiter ?? run.delimiter,
    quotes: given.quotes ?? run.quotes,
  }
  const of = (side: Column): string | null => (sides.includes(side) ? run[side] : null)
  const wanted = { input: of('input'), target: of('target'), split: of('split') }
  const columns = await columnsIn({ ...given, ...form, ...wanted })
  const taken = sides.filter(side => {
    const column = wanted[side]
    return given[side] === null && column !== null && isPathTo(columns, column)
  })
  const missing = sides.filter(
    side => side !== 'split' && given[side] === null && wanted[side] !== null && !taken.includes(side),
  )
  // The words are those of the run's own target column.
  const reusesLabels = given.labels === null && run.labels !== null && !missing.includes('target')
  const settings = {
    ...given,
    ...form,
    ...Object.fromEntries(taken.map(side => [side, wanted[side]])),
    labels: reusesLabels ? run.labels : given.labels,
    skipBadRows: given.skipBadRows || run.skipBadRows,
  }
  const options = [
    ...taken.map(side => (side === 'split' ? [] : `--${side} ${shellWord(wanted[side]!)}`)).flat(),
    ...(reusesLabels && sides.includes('target')
      ? [
          `--labels ${shellWord(
            Object.entries(run.labels!)
              .map(pair => pair.join('='))
              .join(','),
          )}`,
        ]
      : []),
    ...(given.header === null && run.header !== null ? [run.header ? '--header' : '--no-header'] : []),
    ...(given.delimiter === null && run.delimiter !== null ? [`--delimiter ${JSON.stringify(run.delimiter)}`] : []),
    ...(given.quotes === null && run.quotes !== null ? [run.quotes ? '--quotes' : '--no-quotes'] : []),
    ...(!given.skipBadRows && run.skipBadRows ? ['--skip-bad-rows'] : []),
  ]
  return {
    settings,
    notes: [
      ...(options.length > 0 ? [`as in the training of ${name}: ${options.join(' ')}`] : []),
      ...missing.map(
        side =>
          `warning: ${name} was trained with the ${side} column ${JSON.stringify(wanted[side])}, which ${given.path} does not have: another column is taken (--${side} names it)`,
      ),
    ],
  }
}
